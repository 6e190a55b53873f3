"""Real nodes of Weaviate of a test's own, alone or as a cluster, to be killed and started again."""

import http
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

_TOOLS = Path(__file__).parents[2] / "build" / "tools" / "bin"
_PATIENCE_S = 90.0
_PAIRS = (("http", "grpc"), ("gossip", "data"), ("raft", "rpc"))


@dataclass(slots=True)
class Node:
    """One node, which keeps its ports and its folder when it is started again."""

    name: str
    folder: Path
    key: str = ""
    """What it wants to be shown; empty: nothing."""
    ports: dict[str, int] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['http']}"

    @property
    def grpc_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['grpc']}"

    def start(self, nodes: Sequence["Node"]) -> None:
        """Start it as one of these, itself among them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - built for the tests
                [
                    _binary(),
                    *("--host", "127.0.0.1", "--port", str(self.ports["http"])),
                    *("--scheme", "http"),
                ],
                env={**os.environ, **self._environ(nodes)},
                stdout=log,
                stderr=log,
            )

    def _environ(self, nodes: Sequence["Node"]) -> dict[str, str]:
        others = [each for each in nodes if each is not self and each.process]
        return {
            "PERSISTENCE_DATA_PATH": str(self.folder / "data"),
            "GRPC_PORT": str(self.ports["grpc"]),
            "CLUSTER_HOSTNAME": self.name,
            "CLUSTER_GOSSIP_BIND_PORT": str(self.ports["gossip"]),
            "CLUSTER_DATA_BIND_PORT": str(self.ports["data"]),
            "CLUSTER_BIND_ADDR": "127.0.0.1",
            "CLUSTER_ADVERTISE_ADDR": "127.0.0.1",
            "CLUSTER_ADVERTISE_PORT": str(self.ports["gossip"]),
            "CLUSTER_JOIN": ",".join(
                f"127.0.0.1:{each.ports['gossip']}" for each in others
            ),
            "MEMBERLIST_FAST_FAILURE_DETECTION": "true",
            "RAFT_PORT": str(self.ports["raft"]),
            "RAFT_INTERNAL_RPC_PORT": str(self.ports["rpc"]),
            "RAFT_JOIN": ",".join(
                f"{each.name}:{each.ports['raft']}" for each in nodes
            ),
            "RAFT_BOOTSTRAP_EXPECT": str(len(nodes)),
            # Nodes of one machine find each other's ports: each second one is the next.
            "CLUSTER_IN_LOCALHOST": "true",
            # Its own patience is for networks: a leader is elected after seconds.
            "RAFT_TIMEOUTS_MULTIPLIER": "1",
            # Whoever was away learns what it missed within seconds, not half a minute.
            "ASYNC_REPLICATION_FREQUENCY": "1s",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "LOG_LEVEL": "warning",
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": str(not self.key).lower(),
            "AUTHENTICATION_APIKEY_ENABLED": str(bool(self.key)).lower(),
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self.key,
            "AUTHENTICATION_APIKEY_USERS": "tests" if self.key else "",
        }

    def kill(self) -> None:
        """End it without a word to anybody but closed connections."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let it hear everything and say nothing."""
        assert self.process
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGCONT)

    def until_listening(self) -> None:
        """Wait until others can join it."""
        self._until(self._is_listening)

    def until_ready(self) -> None:
        """Wait until it serves."""
        self._until(lambda: self._answers("/v1/.well-known/ready"))

    def until_led(self) -> None:
        """Wait until it knows who leads: before, nobody makes a collection."""
        self._until(lambda: self._answers("/v1/schema"))

    def _until(self, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_S
        while not condition():
            assert self.process
            if self.process.poll() is not None or time.monotonic() > until:
                message = f"no Weaviate at {self.url}: {self.told()}"
                raise RuntimeError(message)
            time.sleep(0.05)

    def _is_listening(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.ports["gossip"]), 5):
                return True
        except OSError:
            return False

    def _answers(self, path: str) -> bool:
        asked = http.client.HTTPConnection("127.0.0.1", self.ports["http"], timeout=5)
        shown = {"authorization": f"Bearer {self.key}"} if self.key else {}
        # What is not for the node itself to say, the leader is asked for.
        shown["consistency"] = "true"
        try:
            asked.request("GET", path, headers=shown)
            return asked.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            asked.close()

    def told(self) -> str:
        """Give the end of what it has logged."""
        return (self.folder / "log").read_text("utf-8", "replace")[-2000:]


@contextmanager
def one_weaviate(folder: Path, *, key: str = "") -> Iterator[Node]:
    """Run a single node for the block, which several tests may share."""
    with cluster_of_weaviate(folder, count=1, key=key) as nodes:
        yield nodes[0]


@contextmanager
def cluster_of_weaviate(
    folder: Path, *, count: int, key: str = ""
) -> Iterator[list[Node]]:
    """Run a cluster of so many nodes for the block, and end it however it is."""
    _binary()
    nodes = [
        Node(f"node{place}", folder / f"node{place}", key) for place in range(count)
    ]
    free = iter(_free_pairs(count * len(_PAIRS)))
    for each in nodes:
        for first, second in _PAIRS:
            port = next(free)
            each.ports |= {first: port, second: port + 1}
    try:
        for each in nodes:
            # A node joins those that are there, so the first has to be.
            each.start(nodes)
            each.until_listening()
        for each in nodes:
            each.until_ready()
            each.until_led()
        yield nodes
    finally:
        for each in nodes:
            each.kill()


def some_prefix() -> str:
    """Begin the names of collections as nobody else does: several tests share a node."""
    return f"Test{secrets.token_hex(4)}_"


def settings_of(nodes: Sequence[Node], **more: Any) -> dict[str, Any]:
    """Say where collections are: in this cluster."""
    return {
        "engine": "weaviate",
        "urls": [each.url for each in nodes],
        "grpc_urls": [each.grpc_url for each in nodes],
        **more,
    }


def _binary() -> str:
    """Find the program; where there is none, its test is skipped, but never in CI."""
    found = shutil.which("weaviate", path=str(_TOOLS))
    if found:
        return found
    message = "no Weaviate: deploy/checks/tools weaviate"
    if not os.environ.get("CI"):
        pytest.skip(message)
    raise AssertionError(message)


def _free_pairs(count: int) -> list[int]:
    """Find ports that nobody uses, nor the one after each, before any is used."""
    held: list[socket.socket] = []
    found: list[int] = []
    try:
        while len(found) < count:
            pair = socket.socket(), socket.socket()
            held += pair
            pair[0].bind(("127.0.0.1", 0))
            port = pair[0].getsockname()[1]
            try:
                pair[1].bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            found.append(port)
    finally:
        for each in held:
            each.close()
    return found
