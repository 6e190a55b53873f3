"""Ask a second time where the first answer is slow, and take what comes first."""

import asyncio
from dataclasses import dataclass, replace

from gateway.backends.errors import Attempt, BackendError, FailureReason
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.concurrency import ended
from gateway.events import Emit, Hedged
from gateway.layers.budget import Budget
from gateway.layers.latency import Latency

# An answer has to be that much later than the slower ones are: where all take about the
# same time, a second attempt would come after the first.
_CLEARLY = 1.1


@dataclass(frozen=True, slots=True)
class _Call:
    """One of the two attempts."""

    task: asyncio.Task[Scores]
    began: float


class Hedge:
    """Makes a second attempt after a while, on another replica where there is one.

    The first answer wins. If one attempt fails, the other one is waited for; if both do,
    the later error stands, with the attempts of both.

    The loser is cancelled and awaited. It is an attempt of the answer like any other:
    one that failed for TIMEOUT after as long as it was given, since to the caller it
    was a call without an answer. How long it was given counts as its duration if it was
    longer than the delay: if only calls that answered counted, a backend would seem to
    get faster the more of them are hedged, and ever more of them would be.

    Args:
        scorer: Asked at most twice.
        backend: Its name, for events and attempts.
        delay_s: When to ask a second time; None: a little after what `latency` says,
            and not at all before it says anything.
        latency: Learns how long attempts take.
        budget: Allows each second attempt. Calls are counted by `Retry`.
        emit: Told how a second attempt ended; not where the caller gave up both.

    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        backend: str,
        delay_s: float | None,
        latency: Latency,
        budget: Budget,
        emit: Emit,
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._delay_s = delay_s
        self._latency = latency
        self._budget = budget
        self._emit = emit

    async def score(self, request: ScoreRequest) -> Scores:
        """Give the first answer, or raise the later of two errors."""
        delay_s = self._delay_s
        if delay_s is None and (slow_s := self._latency.slow_s()) is not None:
            delay_s = slow_s * _CLEARLY
        if delay_s is None or _now() + delay_s >= request.deadline:
            return await self._timed(request)  # a task more would bring nothing
        if request.asked is None:
            request = replace(request, asked=set())
        first = self._begin(request)
        calls = [first]
        try:
            await asyncio.wait([first.task], timeout=delay_s)
            if first.task.done() or not self._budget.take():
                return await first.task
            calls.append(self._begin(request))
            return await self._better_of(first, calls[1], delay_s, request)
        finally:
            await ended(*(call.task for call in calls))

    async def _better_of(
        self, first: _Call, second: _Call, delay_s: float, request: ScoreRequest
    ) -> Scores:
        await asyncio.wait(
            [first.task, second.task], return_when=asyncio.FIRST_COMPLETED
        )
        # Of two that ended in the same moment, the first attempt counts as the earlier.
        earlier, later = (first, second) if first.task.done() else (second, first)
        error = earlier.task.exception()
        if isinstance(error, BackendError):
            return await self._after(error, later, won=later is second)
        winner = earlier.task.result()  # or raises a bug
        await ended(later.task)
        self._emit(Hedged(self._backend, won=earlier is second))
        attempts, usage = self._of_loser(later, winner, delay_s, request)
        return replace(
            winner,
            attempts=(*winner.attempts, *attempts),
            usage=winner.usage + usage,
        )

    async def _after(self, failed: BackendError, other: _Call, *, won: bool) -> Scores:
        """Wait for the attempt that is left."""
        try:
            scores = await other.task
        except BackendError as error:
            self._emit(Hedged(self._backend, won=False))
            error.attempts = (*failed.attempts, *error.attempts)
            raise
        self._emit(Hedged(self._backend, won=won))
        return replace(scores, attempts=(*failed.attempts, *scores.attempts))

    def _of_loser(
        self, loser: _Call, winner: Scores, delay_s: float, request: ScoreRequest
    ) -> tuple[tuple[Attempt, ...], Usage]:
        """Say what the other attempt was, and what it cost."""
        if not loser.task.cancelled():  # it ended in the very moment of the winner
            error = loser.task.exception()
            if isinstance(error, BackendError):
                return error.attempts, Usage()
            return loser.task.result().attempts, loser.task.result().usage
        given_s = _now() - loser.began
        if given_s >= delay_s:
            self._latency.observe(given_s)
        given_up = Attempt(
            backend=self._backend,
            model=winner.model,
            failure=FailureReason.TIMEOUT,
            duration_s=given_s,
            document_count=len(request.documents),
        )
        return (given_up,), Usage()

    def _begin(self, request: ScoreRequest) -> _Call:
        return _Call(asyncio.create_task(self._timed(request)), _now())

    async def _timed(self, request: ScoreRequest) -> Scores:
        began = _now()
        scores = await self._scorer.score(request)
        self._latency.observe(_now() - began)
        return scores


def _now() -> float:
    return asyncio.get_running_loop().time()
