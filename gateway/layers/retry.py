"""Ask again after a failure that may be gone a little later."""

import asyncio
from dataclasses import replace
from random import Random

from gateway.backends.errors import (
    Attempt,
    BackendError,
    BackendState,
    FailureReason,
)
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.events import Emit, Retried
from gateway.layers.budget import Budget

# Transient, and yet no reason to ask again: our own bound and the circuit say that the
# backend has enough to do, or is down; and after a whole time limit, what comes next has a
# better use for the rest (`Hedge` is there for the slow ones).
_NOT_NOW = frozenset(
    {FailureReason.OVERLOADED, FailureReason.CIRCUIT_OPEN, FailureReason.TIMEOUT}
)


class Retry:
    """Repeats a failed call after a pause, another replica first where there is one.

    The pause is what the backend asks for, otherwise it doubles from try to try; either
    way chance is added, so that calls that failed together do not return together. A
    try that could not have a fair share of time before the deadline is not made, and a
    backend that still loads is left to load. What comes out carries the attempts of all
    tries.

    Args:
        scorer: Asked at most `most` + 1 times.
        backend: Its name, for events.
        most: Tries after the first one; 0: none.
        pause_s: Before the second try, at most; doubled before each further one.
        longest_pause_s: However many tries there were; the backend may ask for longer.
        fair_s: The time that a try must have left at least.
        budget: Allows each try beyond the first. Every call is counted here, so a layer
            below that shares it only takes from it.
        chance: For the pauses.
        emit: Told when a further try begins.

    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        backend: str,
        most: int,
        pause_s: float,
        longest_pause_s: float,
        fair_s: float,
        budget: Budget,
        chance: Random,
        emit: Emit,
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._most = most
        self._pause_s = pause_s
        self._longest_pause_s = longest_pause_s
        self._fair_s = fair_s
        self._budget = budget
        self._chance = chance
        self._emit = emit

    async def score(self, request: ScoreRequest) -> Scores:
        """Give the first answer, or raise the error of the last try."""
        self._budget.earn()
        request = replace(request, asked=set())
        attempts: tuple[Attempt, ...] = ()
        tries = 0
        while True:
            try:
                scores = await self._scorer.score(request)
            except BackendError as error:
                error.attempts = attempts = (*attempts, *error.attempts)
                pause_s = self._pause_after(error, tries)
                if not self._allows(request, error, tries, pause_s):
                    raise
                after = error.reason
            else:
                return scores.after(attempts)
            await asyncio.sleep(pause_s)
            tries += 1
            self._emit(Retried(self._backend, after))

    def _pause_after(self, error: BackendError, tries: int) -> float:
        if error.retry_after_s is not None:
            return error.retry_after_s + self._chance.uniform(0, self._pause_s)
        longest_s = min(self._pause_s * 2**tries, self._longest_pause_s)
        return self._chance.uniform(longest_s / 2, longest_s)

    def _allows(
        self, request: ScoreRequest, error: BackendError, tries: int, pause_s: float
    ) -> bool:
        again_at = asyncio.get_running_loop().time() + pause_s
        return (
            tries < self._most
            and _may_be_gone(error)
            and again_at + self._fair_s <= request.deadline
            # Last, since asking takes.
            and self._budget.take()
        )


def _may_be_gone(error: BackendError) -> bool:
    if error.reason is FailureReason.RATE_LIMITED and error.retry_after_s is None:
        return False  # one more call is one too many, for a time that we do not know
    return (
        error.transient
        and not error.lacks_time
        and error.reason not in _NOT_NOW
        and error.state is not BackendState.LOADING
    )
