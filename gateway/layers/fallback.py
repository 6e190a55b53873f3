"""Ask one backend after the other until one answers.

Never mixes what two of them said: scores of two models are not comparable.
"""

import asyncio
from dataclasses import replace

from gateway.backends.errors import Attempt, BackendError
from gateway.backends.scorer import Scorer, ScoreRequest, Scores


class Fallback:
    """Tries whole backends in their configured order.

    The time left is divided evenly among those that are still to come, so that a slow
    one cannot use up the turn of the next. What it does not use, they get.

    Args:
        scorers: At least one.

    """

    def __init__(self, scorers: tuple[Scorer, ...]) -> None:
        self._scorers = scorers

    async def score(self, request: ScoreRequest) -> Scores:
        """Give the first answer, or raise the error of the last backend asked."""
        loop = asyncio.get_running_loop()
        attempts: tuple[Attempt, ...] = ()
        transient = False
        for place, scorer in enumerate(self._scorers):
            began = loop.time()
            turns = len(self._scorers) - place
            until = began + (request.deadline - began) / turns
            try:
                scores = await scorer.score(replace(request, deadline=until))
            except BackendError as error:
                attempts += error.attempts
                if error.reason not in {each.failure for each in error.attempts}:
                    after_s = loop.time() - began
                    attempts += (_unseen(error, after_s, len(request.documents)),)
                transient = transient or error.transient
                last = error
            else:
                return replace(scores, attempts=attempts + scores.attempts)
        # A later call may succeed if it may at any one of them.
        last.attempts, last.transient = attempts, transient
        raise last


def _unseen(error: BackendError, after_s: float, document_count: int) -> Attempt:
    """Account for a failure that none of its calls shows, such as one never made."""
    return Attempt(
        backend=error.backend,
        model="",
        failure=error.reason,
        duration_s=after_s,
        document_count=document_count,
    )
