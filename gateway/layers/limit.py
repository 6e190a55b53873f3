"""Ask a backend only so many things at once, and let only so many wait."""

import asyncio

from gateway.backends.errors import Overloaded
from gateway.backends.scorer import Scorer, ScoreRequest, Scores


class Limit:
    """Bounds the calls in flight and the calls waiting for their turn.

    First come, first served. A call whose deadline comes while it waits is refused
    then, without having asked.

    Args:
        scorer: What is protected.
        backend: Its name, for errors.
        in_flight: Calls at once.
        queued: Calls waiting on top; 0 lets none wait.

    """

    def __init__(
        self, scorer: Scorer, *, backend: str, in_flight: int, queued: int
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._slots = asyncio.Semaphore(in_flight)
        self._queued = queued
        self._waiting = 0

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask when it is this call's turn, or raise `Overloaded`."""
        if self._slots.locked():
            await self._wait_until(request.deadline)
        else:
            await self._slots.acquire()
        try:
            return await self._scorer.score(request)
        finally:
            self._slots.release()

    async def _wait_until(self, deadline: float) -> None:
        if self._waiting >= self._queued:
            raise Overloaded(self._backend, f"{self._waiting} calls wait for it")
        self._waiting += 1
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError as error:
            raise Overloaded(self._backend, "its turn came too late") from error
        finally:
            self._waiting -= 1
