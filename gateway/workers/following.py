"""A worker's side of a reload: its parent decides, and all workers change, or none does."""

import asyncio

from gateway.reloading.change import CannotChange, Change, Prepare
from gateway.workers.starting import unpickled


class Following:
    """Does what the parent says, one thing after the other.

    Args:
        prepare: Builds what other settings want.

    """

    def __init__(self, prepare: Prepare) -> None:
        self._prepare = prepare
        self._ready: Change | None = None
        self._turn = asyncio.Lock()

    async def prepare(self, said: str) -> list[str]:
        """Build what the parent wants, and say every problem; none: it is ready."""
        async with self._turn:
            return await self._prepared(said)

    async def apply(self) -> None:
        """Put it in place."""
        async with self._turn:
            self._apply()

    async def follow(self, said: str) -> list[str]:
        """Serve with what holds already for all others, or say every problem.

        In one go: what the parent wants meanwhile is not decided, and comes after it.
        """
        async with self._turn:
            problems = await self._prepared(said)
            self._apply()
            return problems

    async def discard(self) -> None:
        """End what was built; one that is being built is waited for."""
        async with self._turn:
            await self._discarded()

    async def _prepared(self, said: str) -> list[str]:
        await self._discarded()
        try:
            self._ready = await self._prepare(unpickled(said))
        except CannotChange as error:
            return [*error.problems]
        return []

    def _apply(self) -> None:
        ready, self._ready = self._ready, None
        if ready:
            ready.apply()

    async def _discarded(self) -> None:
        ready, self._ready = self._ready, None
        if ready:
            await ready.discard()
