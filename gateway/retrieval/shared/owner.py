"""Write for the other processes: one call for each connection, on one task."""

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from gateway.retrieval.errors import EngineFailed, RetrieverError
from gateway.retrieval.retriever import Retriever
from gateway.retrieval.shared.address import bound, released
from gateway.retrieval.shared.calls import (
    Call,
    done_frame,
    failed_frame,
    perform,
    read_call,
)
from gateway.retrieval.shared.frames import BrokenFrame, Frame, receive, send

_log = logging.getLogger(__name__)


class Owner:
    """The socket of a store, and the calls that are under way.

    Args:
        folder: The store's; its lease is held.
        engine: Open for writing.
        call_s: How long a call may take to come, to be done, and to be answered.

    """

    def __init__(self, folder: Path, engine: Retriever, *, call_s: float) -> None:
        self._folder = folder
        self._engine = engine
        self._call_s = call_s
        self._server: asyncio.Server | None = None
        self._calls: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen.

        Raises:
            EngineFailed: There cannot be a socket.

        """
        try:
            listening = bound(self._folder)
        except OSError as error:
            message = f"{self._folder}: no socket for the other processes"
            raise EngineFailed(message) from error
        self._server = await asyncio.start_unix_server(self._begin, sock=listening)

    async def close(self) -> None:
        """Stop listening, and end what is under way: its callers are told nothing."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for each in self._calls:
            each.cancel()
        if self._calls:
            await asyncio.wait(self._calls)
        released(self._folder)

    def _begin(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            async with asyncio.timeout(self._call_s):
                call = read_call(await receive(reader))
            answer = await self._while_awaited(call, reader)
            if answer is not None:
                async with asyncio.timeout(self._call_s):
                    await send(writer, answer)
        except (BrokenFrame, OSError) as error:
            _log.warning("a write for another process: %s", error)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _while_awaited(
        self, call: Call, reader: asyncio.StreamReader
    ) -> Frame | None:
        """Do it; None: whoever asked is gone, and it was given up."""
        doing = asyncio.create_task(self._answer(call))
        # Nothing more is said on a connection: what comes is its end.
        ending = asyncio.create_task(_end(reader))
        try:
            await asyncio.wait({doing, ending}, return_when=asyncio.FIRST_COMPLETED)
            return doing.result() if doing.done() else None
        finally:
            doing.cancel()
            ending.cancel()
            await asyncio.wait({doing, ending})

    async def _answer(self, call: Call) -> Frame:
        try:
            async with asyncio.timeout(self._call_s):
                return done_frame(await perform(call, self._engine))
        except TimeoutError:
            message = f"{self._folder}: the write took more than {self._call_s:g} s"
            return failed_frame(EngineFailed(message))
        except (RetrieverError, ValueError) as error:
            return failed_frame(error)


async def _end(reader: asyncio.StreamReader) -> None:
    with suppress(OSError):
        await reader.read(1)
