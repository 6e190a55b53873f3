"""Let identical requests that come at the same time share one call."""

import asyncio
from contextvars import Context, copy_context
from dataclasses import dataclass, replace

from gateway.backends.errors import Attempt, BackendError, OutOfTime
from gateway.backends.scorer import (
    CacheMode,
    CacheWish,
    Scorer,
    ScoreRequest,
    Scores,
    Usage,
)
from gateway.concurrency import ended
from gateway.events import Emit, FlightJoined


class _Question:
    """What a request asks, without who asks and until when.

    Hashed by what seldom is the same of two questions: all of its texts would take longer
    than all else here. Compared as a whole, so a new field of a request counts until it is
    left out here.
    """

    def __init__(self, request: ScoreRequest) -> None:
        self._request = request
        first = request.documents[0].text
        self._hash = hash((request.query, len(request.documents), first))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Question) and self._asked == other._asked

    @property
    def _asked(self) -> ScoreRequest:
        """All that counts; made only where two are compared."""
        cache = CacheWish(mode=self._request.cache.mode)
        return replace(self._request, deadline=0.0, caller="", cache=cache)


@dataclass(slots=True, eq=False)
class _Flight:
    """A call under way, and those who wait for it."""

    task: asyncio.Task[Scores | BackendError]
    context: Context
    """Of the call that began it, as it was then."""
    deadline: float
    latest: float
    """The latest deadline of all who ever waited for it."""
    waiting: int = 0


class SingleFlight:
    """Joins whoever asks what is being asked already.

    Requests are identical if they differ in nothing but deadline, caller and how old
    the remembered scores may be. Never joined are those that bypass the memory, since
    they want a call of their own, and those with a `lookup`, which belongs to one call.

    The call has a task of its own and runs under the deadline of whoever began it; each
    waits no longer than its own deadline. Whoever leaves, the others do not notice; the
    last one to leave ends the call. If it lacks time, and gives nothing or only a part,
    those who still have a fair share of theirs ask again: once for all of them, under
    the latest of their deadlines.

    Attempts and usage are those of the call, for each one who shared it: it was made
    for all of them. So the sum over answers can be more than what the backend charged.

    Args:
        scorer: Asked once for all.
        backend: Its name, for errors.
        fair_s: With less time left it is not worth asking again.
        emit: Told of every call that waits for another one.

    """

    def __init__(
        self, scorer: Scorer, *, backend: str, fair_s: float, emit: Emit
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._fair_s = fair_s
        self._emit = emit
        self._flights: dict[_Question, _Flight] = {}

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, or wait for who asked the same before."""
        if request.lookup or request.cache.mode is CacheMode.BYPASS:
            return await self._scorer.score(request)
        key = _Question(request)
        attempts: tuple[Attempt, ...] = ()
        usage = Usage()
        part: Scores | None = None
        until = request.deadline
        while True:
            flight = self._flights.get(key)
            if flight:
                self._emit(FlightJoined(self._backend, flight.context))
            else:
                flight = self._begin(key, request, until)
            outcome = await self._outcome(key, flight, request.deadline)
            attempts = (*attempts, *outcome.attempts)
            if isinstance(outcome, Scores):
                usage += outcome.usage
                part = outcome
            if not self._asks_again(request, flight, outcome):
                break
            until = max(until, flight.latest)
        if isinstance(outcome, Scores):
            if (outcome.attempts, outcome.usage) == (attempts, usage):  # of one flight
                return outcome
            return replace(outcome, attempts=attempts, usage=usage)
        if part:  # better than none, after all
            return replace(part, attempts=attempts, usage=usage)
        # Attempts are added on the way up: each waiter needs an error of its own.
        error = outcome.twin()
        error.attempts = attempts
        raise error from outcome

    def _begin(self, key: _Question, request: ScoreRequest, until: float) -> _Flight:
        asked = (
            request if until == request.deadline else replace(request, deadline=until)
        )
        task = asyncio.create_task(self._fly(key, asked))
        flight = _Flight(task, copy_context(), deadline=until, latest=until)
        self._flights[key] = flight
        return flight

    async def _fly(
        self, key: _Question, request: ScoreRequest
    ) -> Scores | BackendError:
        try:
            return await self._scorer.score(request)
        except BackendError as error:
            return error
        finally:
            self._forget(key, asyncio.current_task())

    async def _outcome(
        self, key: _Question, flight: _Flight, deadline: float
    ) -> Scores | BackendError:
        """Wait for it, but no longer than this waiter has time."""
        began = _now()
        flight.latest = max(flight.latest, deadline)
        flight.waiting += 1
        # Who has as long as the flight itself lets it end by itself: given up in the very
        # moment of its deadline, it would tell nobody that the backend was slow.
        left_s = None if deadline >= flight.deadline else max(deadline - began, 0)
        try:
            await asyncio.wait([flight.task], timeout=left_s)
            if flight.task.done():
                return flight.task.result()
            return OutOfTime(self._backend, _now() - began, had_fair_chance=False)
        finally:
            flight.waiting -= 1
            if not flight.waiting and not flight.task.done():
                # First, or a newcomer would board what is about to end.
                self._forget(key, flight.task)
                await ended(flight.task)

    def _forget(self, key: _Question, task: object) -> None:
        flight = self._flights.get(key)
        if flight and flight.task is task:
            del self._flights[key]

    def _asks_again(
        self, request: ScoreRequest, flight: _Flight, outcome: Scores | BackendError
    ) -> bool:
        if isinstance(outcome, Scores):
            lacks_time = request.takes_partial and not outcome.complete
        else:
            lacks_time = outcome.lacks_time
        return (
            lacks_time
            and request.deadline > flight.deadline
            and request.deadline - _now() >= self._fair_s
        )


def _now() -> float:
    return asyncio.get_running_loop().time()
