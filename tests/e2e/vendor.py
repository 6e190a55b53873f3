"""A vendor's server, down to the bytes: it answers, or fails in every way a server can."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

# Nothing here takes this long; a test that waits in vain says so and ends.
_PATIENCE_S = 20.0

_AT_ONCE = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Exchange:
    """One request, and the wire to whoever sent it."""

    def __init__(self, received: Received, connection: "_Connection") -> None:
        self.received = received
        self.place = connection.request_count
        """Which request of its connection this is, from 1."""
        self._connection = connection

    async def send(self, data: bytes) -> None:
        """Write, and wait while the other side does not read."""
        await self._connection.write(data)

    def close(self) -> None:
        self._connection.transport.close()

    def reset(self) -> None:
        self._connection.reset()

    @staticmethod
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()


Play = Callable[[Exchange], Awaitable[None]]
"""What a vendor does with one request."""


class Vendor:
    """Listens on a free port while it is entered.

    Args:
        play: What it does with each POST; may be changed at any time.
        info: The body of its answer to each GET.
        host: The address on which it listens.

    """

    def __init__(
        self, play: Play, *, info: object = None, host: str = "127.0.0.1"
    ) -> None:
        self._host = host
        self.play = play
        self.info = info
        self.resets_at_accept = False
        self.closes_after: int | None = None
        """After how many requests a connection is closed; None: never."""
        self.received: list[Received] = []
        """Every POST."""
        self.open_connections = 0
        self.connection_count = 0
        self.in_progress = 0
        self.abandoned = 0
        """Requests whose sender went away before the answer was complete."""
        self.sent_bytes = 0
        self.url = ""
        self._connections: set[_Connection] = set()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self), self._host, 0
        )
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{self._host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for connection in list(self._connections):
            connection.transport.abort()
        await self.until(lambda: not self._connections and not self.in_progress)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for what happens here to make a condition true."""
        async with asyncio.timeout(_PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def close_idle(self) -> None:
        """Close every connection that waits for a request."""
        for connection in self._connections:
            if connection.idle:
                connection.transport.close()

    def opened(self, connection: "_Connection") -> None:
        self._connections.add(connection)
        self.open_connections += 1
        self.connection_count += 1
        self.changed()

    def lost(self, connection: "_Connection") -> None:
        self._connections.discard(connection)
        self.open_connections -= 1
        self.changed()

    def changed(self) -> None:
        self._changed.set()


class _Connection(asyncio.Protocol):
    """Reads requests one after the other and lets the vendor play."""

    transport: asyncio.Transport

    def __init__(self, vendor: Vendor) -> None:
        self.request_count = 0
        self._vendor = vendor
        self._unread = b""
        self._task: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()

    @property
    def idle(self) -> bool:
        return self._task is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._vendor.opened(self)
        if self._vendor.resets_at_accept:
            self.reset()

    def connection_lost(self, _: Exception | None) -> None:
        if self._task:
            self._vendor.abandoned += 1
            self._task.cancel()
        self._vendor.lost(self)

    def pause_writing(self) -> None:
        self._may_write.clear()

    def resume_writing(self) -> None:
        self._may_write.set()

    async def write(self, data: bytes) -> None:
        if self.transport.is_closing():
            # Nobody reads any more, and losing the connection ends the play.
            await Exchange.wait_for_ever()
        self.transport.write(data)
        self._vendor.sent_bytes += len(data)
        await self._may_write.wait()

    def reset(self) -> None:
        wire = self.transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if self._task is None:
            self._begin()

    def _begin(self) -> None:
        head, complete, rest = self._unread.partition(b"\r\n\r\n")
        if not complete:
            return
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._unread = rest[length:]
        self.request_count += 1
        exchange = Exchange(Received(method, path, headers, rest[:length]), self)
        self._task = asyncio.create_task(self._play(exchange))

    async def _play(self, exchange: Exchange) -> None:
        vendor = self._vendor
        vendor.in_progress += 1
        if exchange.received.method == "POST":
            vendor.received.append(exchange.received)
            play = vendor.play
        else:
            play = reply_json(vendor.info)
        vendor.changed()
        try:
            await play(exchange)
        finally:
            self._task = None
            vendor.in_progress -= 1
            vendor.changed()
        if self.request_count == vendor.closes_after:
            self.transport.close()
        elif not self.transport.is_closing():
            self._begin()


def head(
    status: int,
    *,
    length: int | None,
    headers: Mapping[str, str] | None = None,
    reason: str = "Reason",
) -> bytes:
    """Write the beginning of an answer; without a length it comes in chunks."""
    size = (
        {"Transfer-Encoding": "chunked"}
        if length is None
        else {"Content-Length": str(length)}
    )
    said = {"Content-Type": "application/json", **size, **(headers or {})}
    lines = [f"HTTP/1.1 {status} {reason}", *(f"{k}: {v}" for k, v in said.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def reply(
    status: int,
    body: bytes,
    *,
    headers: Mapping[str, str] | None = None,
    reason: str = "Reason",
) -> Play:
    """Answer at once, whole."""

    async def play(exchange: Exchange) -> None:
        begin = head(status, length=len(body), headers=headers, reason=reason)
        await exchange.send(begin + body)

    return play


def reply_json(value: object, *, status: int = 200) -> Play:
    return reply(status, json.dumps(value).encode())


async def reset(exchange: Exchange) -> None:
    """Tear the connection down instead of an answer."""
    exchange.reset()


async def hang(exchange: Exchange) -> None:
    """Never answer."""
    await exchange.wait_for_ever()


async def hang_in_body(exchange: Exchange) -> None:
    """Promise an answer and never send it."""
    await exchange.send(head(200, length=100))
    await exchange.wait_for_ever()


@contextmanager
def refusing_url() -> Iterator[str]:
    """Hold a port on which nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"
