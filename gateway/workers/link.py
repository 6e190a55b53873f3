"""Questions and answers between the parent and one worker, on a socket that only they have."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any, Final

from gateway.concurrency import ended

_SIZE: Final = struct.Struct(">I")

Answer = Callable[[str, Any], Awaitable[Any]]
"""Given a question and what belongs to it, as JSON knows it, gives the answer."""


class LinkEnded(Exception):
    """The other end is gone."""


class Link:
    """One end. Both may ask at any time.

    Args:
        reader: What the other end says.
        writer: To the other end.
        answer: Answers its questions, each on a task of its own.
        gone: Called when it is gone.

    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        answer: Answer,
        gone: Callable[[], None],
    ) -> None:
        self._gone = gone
        self._reader = reader
        self._writer = writer
        self._answer = answer
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[Any]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.ended = asyncio.Event()
        """Whether the other end is gone."""

    async def ask(self, what: str, value: object = None, *, within_s: float) -> Any:  # noqa: ANN401 - JSON, of any kind
        """Ask the other end.

        Raises:
            LinkEnded: It is gone.
            TimeoutError: It did not answer in time.

        """
        if self.ended.is_set():
            raise LinkEnded
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within_s):
                await self._say({"ask": number, "what": what, "value": value})
                return await answer
        finally:
            del self._asked[number]

    async def listen(self) -> None:
        """Take in what the other end says, until it is gone."""
        try:
            while True:
                (size,) = _SIZE.unpack(await self._reader.readexactly(_SIZE.size))
                self._heard(json.loads(await self._reader.readexactly(size)))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self.ended.set()
            self._gone()
            for answer in self._asked.values():
                if not answer.done():
                    answer.set_exception(LinkEnded())
            await ended(*self._answering)

    def _heard(self, said: dict[str, Any]) -> None:
        if "ask" in said:
            task = asyncio.create_task(self._answered(said))
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
            return
        answer = self._asked.get(said["answer"])
        # Whoever asked may have given up.
        if answer and not answer.done():
            answer.set_result(said["value"])

    async def _answered(self, said: dict[str, Any]) -> None:
        value = await self._answer(said["what"], said["value"])
        with suppress(LinkEnded):
            await self._say({"answer": said["ask"], "value": value})

    async def _say(self, said: dict[str, Any]) -> None:
        line = json.dumps(said).encode()
        try:
            self._writer.write(_SIZE.pack(len(line)) + line)
            await self._writer.drain()
        except OSError as error:
            raise LinkEnded from error


@asynccontextmanager
async def linked(
    end: socket.socket, answer: Answer, *, gone: Callable[[], None] = lambda: None
) -> AsyncIterator[Link]:
    """Listen to the other end while the block runs.

    Args:
        end: Ours; it is closed at the end.
        answer: Answers questions.
        gone: Called when the other end is gone.

    """
    reader, writer = await asyncio.open_unix_connection(sock=end)
    link = Link(reader, writer, answer, gone)
    listening = asyncio.create_task(link.listen())
    try:
        yield link
    finally:
        await ended(listening)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
