"""What serves now, and what served before for as long as a call needs it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _Generation(Generic[T]):
    """One that serves, or served, and the calls that it serves still."""

    def __init__(self, serves: T, close: Callable[[], Awaitable[None]]) -> None:
        self.serves = serves
        self.close = close
        self.calls = 0
        self.unused = asyncio.Event()
        """Set when no call needs it and none will."""
        self._retired = False

    def left(self, _: object) -> None:
        self.calls -= 1
        self._look()

    def retire(self) -> None:
        self._retired = True
        self._look()

    def _look(self) -> None:
        if self._retired and not self.calls:
            self.unused.set()


class Current(Generic[T]):
    """One reference, which is replaced at once; calls that began before keep what they had.

    Args:
        first: What serves first.
        close: Ends it, when it was replaced and its last call is over.

    """

    def __init__(self, first: T, close: Callable[[], Awaitable[None]]) -> None:
        self._now = _Generation(first, close)
        self._leaving: dict[asyncio.Task[None], _Generation[T]] = {}

    @property
    def now(self) -> T:
        """What new calls get; for who only looks."""
        return self._now.serves

    @property
    def leaving(self) -> int:
        """How many were replaced and are needed still."""
        return len(self._leaving)

    def enter(self) -> T:
        """Give what serves now, and keep it until the task that asks is over."""
        generation = self._now
        generation.calls += 1
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        task.add_done_callback(generation.left)
        return generation.serves

    def replace(self, following: T, close: Callable[[], Awaitable[None]]) -> None:
        """Let all calls that come from now on have another one.

        Args:
            following: What serves them.
            close: Ends it, as above.

        """
        before, self._now = self._now, _Generation(following, close)
        before.retire()
        task = asyncio.create_task(_end(before))
        self._leaving[task] = before
        task.add_done_callback(self._left)

    async def aclose(self) -> None:
        """End all of them, whoever still needs them: nothing is served any more."""
        self._now.retire()
        for generation in self._leaving.values():
            generation.unused.set()
        if self._leaving:
            await asyncio.wait([*self._leaving])
        await self._now.close()

    def _left(self, task: "asyncio.Task[None]") -> None:
        del self._leaving[task]
        if not task.cancelled() and (error := task.exception()):
            _log.error("a bug: what served before does not end", exc_info=error)


async def _end(generation: _Generation[Any]) -> None:
    await generation.unused.wait()
    await generation.close()
