"""A network of a test's own: hosts in namespaces of Linux, and links that fail as told.

Every host has a TUN device, at whose other end is a thread here that carries packets from one
to another: late, not at all, or only some of them. It does what `tc netem` does, on kernels
that were built without it as well, and with a seed. Processes that run in a namespace, and all
of TCP, are the real ones.
"""

import fcntl
import heapq
import os
import selectors
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random

import pytest

from tests.support.redis_server import binary

_SEED = 11
_TUNSETIFF = 0x400454CA
_TUN_WITHOUT_HEADER = 0x0001 | 0x1000
_LARGEST = 65536
_PACKETS_AT_ONCE = 64
_IPV4 = 4
_NETWORKS = count(os.getpid())


@dataclass(frozen=True, slots=True)
class Host:
    """One place in the network."""

    name: str
    address: str
    inside: tuple[str, ...]
    """What is put before a command so that it runs there; nothing: it is this process."""


@dataclass(frozen=True, slots=True)
class Link:
    """How packets get from one host to another, in either direction."""

    latency_s: float = 0.0
    """One way."""
    loss: float = 0.0
    """The share of packets that do not arrive, from 0 to 1."""


CUT = Link(loss=1.0)
"""Nothing arrives."""


class Network:
    """Hosts, and what is between each two of them: at first nothing that fails.

    Args:
        parts: Takes it apart.

    """

    def __init__(self, parts: ExitStack) -> None:
        self._parts = parts
        number = next(_NETWORKS)
        self._prefix = f"10.{200 + number % 50}.{number // 50 % 250}"
        self._name = f"t{number % 100_000}"
        self._places = count(1)
        self._wire = _Wire()
        self._own: int | None = None
        parts.callback(self._wire.close)

    def host(self) -> Host:
        """Make a host with a namespace of its own."""
        place = next(self._places)
        name = f"{self._name}n{place}"
        _ip("netns", "add", name)
        self._parts.callback(_ip, "netns", "del", name)
        address = f"{self._prefix}.{place}"
        device, tun = self._device(place)
        _ip("link", "set", device, "netns", name)
        for words in (
            ("addr", "add", f"{address}/24", "dev", device),
            ("link", "set", device, "up"),
            ("link", "set", "lo", "up"),
        ):
            _ip("-n", name, *words)
        self._wire.join(address, tun)
        return Host(name, address, (binary("ip"), "netns", "exec", name))

    def here(self) -> Host:
        """Give this process a place; it may have several, each with links of its own."""
        place = next(self._places)
        address = f"{self._prefix}.{place}"
        if self._own is None:
            device, self._own = self._device(place)
            self._device_here = device
            _ip("link", "set", device, "up")
        _ip("addr", "add", f"{address}/24", "dev", self._device_here)
        self._wire.join(address, self._own)
        return Host("", address, ())

    def between(self, one: Host, other: Host, link: Link) -> None:
        """Have packets between two hosts travel so from now on."""
        self._wire.links[frozenset((one.address, other.address))] = link

    def everywhere(self, link: Link) -> None:
        """Have all packets travel so for which nothing else is said."""
        self._wire.usual = link

    def _device(self, place: int) -> tuple[str, int]:
        name = f"{self._name}d{place}"
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._parts.callback(os.close, tun)  # and the device is gone
        fcntl.ioctl(
            tun, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TUN_WITHOUT_HEADER)
        )
        return name, tun


class _Wire:
    """The thread that carries packets."""

    def __init__(self) -> None:
        self.links: dict[frozenset[str], Link] = {}
        self.usual = Link()
        self._chance = Random(_SEED)
        self._tuns: dict[str, int] = {}
        self._late: list[tuple[float, int, int, bytes]] = []
        self._numbers = count()
        self._readable = selectors.DefaultSelector()
        self._wake, self._waker = os.pipe()
        self._readable.register(self._wake, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="wire")
        self._thread.start()

    def join(self, address: str, tun: int) -> None:
        """Carry packets from and to a host."""
        if tun not in self._tuns.values():
            self._readable.register(tun, selectors.EVENT_READ)
            os.write(self._waker, b".")
        self._tuns[address] = tun

    def close(self) -> None:
        """Carry no more."""
        os.close(self._waker)
        self._thread.join()
        self._readable.close()
        os.close(self._wake)

    def _run(self) -> None:
        while True:
            wait_s = self._late[0][0] - time.monotonic() if self._late else None
            ready = self._readable.select(None if wait_s is None else max(wait_s, 0.0))
            for key, _ in ready:
                if key.fd != self._wake:
                    self._carry_from(key.fd)
                elif not os.read(self._wake, 64):
                    return
            self._deliver()

    def _carry_from(self, tun: int) -> None:
        for _ in range(_PACKETS_AT_ONCE):
            try:
                packet = os.read(tun, _LARGEST)
            except OSError:  # there is no more, or the device is not up yet
                return
            if packet[0] >> 4 != _IPV4:
                continue
            source, target = _dotted(packet[12:16]), _dotted(packet[16:20])
            link = self.links.get(frozenset((source, target)), self.usual)
            if target in self._tuns and self._chance.random() >= link.loss:
                due = time.monotonic() + link.latency_s
                entry = (due, next(self._numbers), self._tuns[target], packet)
                heapq.heappush(self._late, entry)

    def _deliver(self) -> None:
        now = time.monotonic()
        while self._late and self._late[0][0] <= now:
            _, _, tun, packet = heapq.heappop(self._late)
            try:
                os.write(tun, packet)
            except OSError:  # nobody there: it is lost
                continue


@contextmanager
def a_network() -> Iterator[Network]:
    """Make a network for the block, or skip the test where the machine forbids it."""
    binary("ip")
    if not Path("/dev/net/tun").exists():
        pytest.skip("this machine has no TUN devices, so no network of our own")
    with ExitStack() as parts:
        network = Network(parts)
        try:
            network.here()
        except PermissionError as error:
            pytest.skip(f"no namespaces and devices may be made here: {error}")
        try:
            network.host()
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no namespaces may be made here: {error.stderr.decode()}")
        yield network


def _dotted(address: bytes) -> str:
    return ".".join(str(each) for each in address)


def _ip(*words: str) -> None:
    subprocess.run(  # noqa: S603 - a package of Debian's
        [binary("ip"), *words], check=True, capture_output=True
    )
