"""One worker, as its parent sees it: started, asked, stopped, and how it ended."""

import asyncio
import signal
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from gateway.settings import Settings
from gateway.workers.link import Link, LinkEnded, linked
from gateway.workers.starting import Start, command, pickled, said

_ASKING_S: Final = 1.0
"""How long a worker may take to answer; then it is too busy, or hangs."""

_PREPARING_S: Final = 300.0
"""How long a worker may take to build what another configuration wants: a model may have to
be brought first."""


class Worker:
    """A process that serves.

    Args:
        start: What it has to know.
        served: Called when it serves; gives the settings that hold by then.
        others: Answers what it asks about the others.

    """

    def __init__(
        self,
        start: Start,
        *,
        served: Callable[[], Settings],
        others: Callable[[], Awaitable[list[str]]],
    ) -> None:
        self.place = start.place
        self.serves = False
        """Whether calls reach it."""
        self.problem = ""
        """Why it cannot serve, in its own words; empty: it said nothing."""
        self.numbers: list[Any] = []
        """Its metrics, as it told them last."""
        self.settings = start.settings
        """What it serves with."""
        self._start = start
        self._served = served
        self._others = others
        self._process: asyncio.subprocess.Process | None = None
        self._link: Link | None = None

    async def run(self) -> int:
        """Start it, and give how it ended; if cancelled, it is killed first."""
        ours, its = socket.socketpair()
        with its:
            self._process = process = await asyncio.create_subprocess_exec(
                *command(self.place),
                stdin=its.fileno(),
                # Ctrl-C is for the parent, who stops all of them.
                process_group=0,
            )
        try:
            ours.setblocking(False)  # noqa: FBT003 - its only argument
            with suppress(OSError):  # it is gone already: that is seen below
                loop = asyncio.get_running_loop()
                await loop.sock_sendall(ours, said(self._start))
            async with linked(ours, self._answer) as self._link:
                # What it said last is heard before its end is.
                await process.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ASKING_S):
                        await self._link.ended.wait()
        finally:
            self.serves = False
            self.signal(signal.SIGKILL)
            code = await process.wait()
            ours.close()
        return code

    def signal(self, number: int) -> None:
        """Send a signal; one that is gone does not mind."""
        if self._process and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def backends(self) -> str | None:
        """Ask what it knows of backends; None: it did not say."""
        told: str | None = await self._asked("backends")
        return told

    async def look(self) -> list[Any]:
        """Give its metrics as they are now, or as they were when it answered last."""
        self.numbers = await self._asked("numbers") or self.numbers
        return self.numbers

    async def prepare(self, settings: Settings) -> list[str]:
        """Have it build what other settings want, and give every problem; none: it is ready.

        One that is gone has none: the one in its place starts with what holds then.
        """
        if not self.serves or self._link is None:
            return []
        try:
            problems: list[str] = await self._link.ask(
                "prepare", pickled(settings), within_s=_PREPARING_S
            )
        except LinkEnded:
            return []
        except TimeoutError:
            return [f"worker {self.place} was not ready in {_PREPARING_S:.0f} s"]
        return problems

    async def apply(self, settings: Settings) -> None:
        """Have it put in place what it has built."""
        self.settings = settings
        await self._do("apply")

    async def discard(self) -> None:
        """Have it end what it has built."""
        await self._do("discard")

    async def count(self, outcome: str) -> None:
        """Have it count a reload."""
        await self._do("reloaded", outcome)

    async def _do(self, what: str, value: object = None) -> None:
        """Have it do something, at the latest when it has time."""
        if not self.serves or self._link is None:
            return
        with suppress(LinkEnded, TimeoutError):
            await self._link.ask(what, value, within_s=_ASKING_S)

    async def _asked(self, what: str) -> Any:  # noqa: ANN401 - JSON, of any kind
        if not self.serves or self._link is None:
            return None
        with suppress(LinkEnded, TimeoutError):
            return await self._link.ask(what, within_s=_ASKING_S)
        return None

    async def _answer(self, what: str, value: Any) -> Any:  # noqa: ANN401 - likewise
        match what:
            case "serves":
                self.serves = True
                newest = self._served()
                if newest is not self.settings:
                    self.settings = newest
                    return pickled(newest)
            case "cannot serve":
                self.problem = value
            case "last numbers":
                self.numbers = value
            case "others' backends":
                return await self._others()
        return None
