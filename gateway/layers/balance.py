"""Send each call to the replica that has the least to do."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from random import Random

from gateway.backends.errors import (
    Attempt,
    BackendError,
    CircuitOpen,
    FailureReason,
)
from gateway.backends.scorer import Scorer, ScoreRequest, Scores

# The weight of the newest duration in the moving one.
_NEWEST = 0.2
# A replica that was slow is not asked, and so could never show that it recovered: what is
# known about an idle one holds for so long, and then it is asked once.
_KNOWN_FOR_S = 10.0
# A quick failure must not look like a quick answer.
_FAILED_S = 1.0
# Calls that wait for a replica of which nothing is known yet: it is not flooded meanwhile.
_UNKNOWN_S = 1.0

# The replica was not asked: another one may have room.
_REFUSED = frozenset({FailureReason.CIRCUIT_OPEN, FailureReason.OVERLOADED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One of several equal servers of a backend."""

    name: str
    """Its own, among the replicas of the backend."""
    scorer: Scorer
    """With its own limit, circuit and time limit."""
    is_open: Callable[[], bool]
    """Whether its circuit refuses the next call; no longer once it would let one through
    to see, which is how an ejected replica comes back."""


class Balance:
    """Takes the better of two replicas drawn at random.

    Better is: fewer calls in flight, times how long they take lately. The best of all
    would get every call of a moment at once. Replicas whose circuit is open are not
    drawn, nor, as long as there are others, those in `ScoreRequest.asked`. Where a
    replica refuses unasked, the next one is taken.

    Args:
        replicas: At least one.
        backend: Whose they are, for errors.
        chance: Draws.

    """

    def __init__(
        self, replicas: tuple[Replica, ...], *, backend: str, chance: Random
    ) -> None:
        self._replicas = tuple(_Loaded(replica) for replica in replicas)
        self._backend = backend
        self._chance = chance

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask one replica, or raise `CircuitOpen` at once if none may be asked."""
        asked = set() if request.asked is None else request.asked
        left = list(self._replicas)
        attempts: tuple[Attempt, ...] = ()
        refusal: BackendError | None = None
        while True:
            chosen = self._choose(left, asked)
            if chosen is None:
                raise refusal or self._none_is_left()
            asked.add(chosen.replica.name)
            try:
                scores = await chosen.score(request)
            except BackendError as error:
                error.attempts = attempts = (*attempts, *error.attempts)
                if error.reason not in _REFUSED or _now() >= request.deadline:
                    raise
                refusal = error
                left.remove(chosen)
            else:
                return scores.after(attempts)

    def _choose(
        self, replicas: "list[_Loaded]", asked: Collection[str]
    ) -> "_Loaded | None":
        usable = [each for each in replicas if not each.replica.is_open()]
        fresh = [each for each in usable if each.replica.name not in asked] or usable
        if not fresh:
            return None
        now = _now()
        drawn = self._chance.sample(fresh, min(len(fresh), 2))
        return min(drawn, key=lambda each: each.load(now))

    def _none_is_left(self) -> CircuitOpen:
        count = len(self._replicas)
        return CircuitOpen(self._backend, f"none of {count} replicas may be asked")


class _Loaded:
    """A replica, and what it has to do."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self._in_flight = 0
        self._moving_s: float | None = None
        self._measured_at = 0.0

    def load(self, now: float) -> float:
        """Estimate how long one more call would take."""
        if not self._in_flight and not self._is_known(now):
            return 0.0
        moving_s = _UNKNOWN_S if self._moving_s is None else self._moving_s
        return (self._in_flight + 1) * moving_s

    def _is_known(self, now: float) -> bool:
        return self._moving_s is not None and now < self._measured_at + _KNOWN_FOR_S

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask it, and learn how long it takes."""
        began = _now()
        self._in_flight += 1
        try:
            scores = await self.replica.scorer.score(request)
        except BackendError as error:
            if error.blames_backend:
                self._learn(max(_now() - began, _FAILED_S))
            raise
        except asyncio.CancelledError:
            # Given up: all that is known is that it would have taken longer.
            took_s = _now() - began
            if self._moving_s is None or took_s > self._moving_s:
                self._learn(took_s)
            raise
        else:
            self._learn(_now() - began)
            return scores
        finally:
            self._in_flight -= 1

    def _learn(self, took_s: float) -> None:
        now = _now()
        if self._moving_s is None or not self._is_known(now):
            self._moving_s = took_s
        else:
            self._moving_s += _NEWEST * (took_s - self._moving_s)
        self._measured_at = now


def _now() -> float:
    return asyncio.get_running_loop().time()
