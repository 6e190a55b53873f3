"""Something between a caller and a server that counts connections, and may end TLS."""

import asyncio
import ssl
from types import TracebackType
from typing import Self

from tests.support.identities import Files

_CHUNK = 65536


class Relay:
    """Passes on all bytes, in both directions, while it is entered.

    Args:
        address: HOST:PORT that it leads to.
        shows: A certificate and its key; then it speaks TLS to callers alone.

    """

    def __init__(self, address: str, *, shows: Files | None = None) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host, int(port)
        self._tls: ssl.SSLContext | None = None
        if shows:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(shows.certificate, shows.key)
            self._tls.set_alpn_protocols(["h2", "http/1.1"])
        self.connections = 0
        self.address = ""
        self.heard = bytearray()
        """What callers have said; with TLS, within it."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, ssl=self._tls
        )
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there, back = await asyncio.open_connection(self._host, self._port)
        both = (
            _pass_on(reader, back, self.heard),
            _pass_on(there, writer, bytearray()),
        )
        try:
            await asyncio.gather(*both)
        except asyncio.CancelledError:
            pass  # the stream's own callback would complain of it
        finally:
            writer.close()
            back.close()


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heard: bytearray
) -> None:
    try:
        while data := await reader.read(_CHUNK):
            heard += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
