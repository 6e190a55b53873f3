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
    one cannot use up the turn of the next. What it does not use, they get: of one that
    is not asked at all, as with an open circuit, everything.

    Where a part is taken, one that scored a part in its turn has not had the last word:
    the next ones may score all in theirs. If none answers, the part is the answer.

    Args:
        scorers: At least one.

    """

    def __init__(self, scorers: tuple[Scorer, ...]) -> None:
        self._scorers = scorers

    async def score(self, request: ScoreRequest) -> Scores:
        """Give the first whole answer, else a part, or raise the error of the last."""
        loop = asyncio.get_running_loop()
        attempts: tuple[Attempt, ...] = ()
        transient = False
        part: Scores | None = None
        for place, scorer in enumerate(self._scorers):
            began = loop.time()
            turns = len(self._scorers) - place
            until = began + (request.deadline - began) / turns
            try:
                scores = await scorer.score(
                    request if turns == 1 else replace(request, deadline=until)
                )
            except BackendError as error:
                attempts += error.attempts
                if error.reason not in {each.failure for each in error.attempts}:
                    after_s = loop.time() - began
                    attempts += (_unseen(error, after_s, len(request.documents)),)
                transient = transient or error.transient
                last = error
            else:
                if not attempts and (scores.complete or not request.takes_partial):
                    return scores
                attempts += scores.attempts
                if scores.complete or not request.takes_partial:
                    return replace(scores, attempts=attempts)
                part = _fuller(part, scores) if part else scores
        if part:
            return replace(part, attempts=attempts)
        # A later call may succeed if it may at any one of them.
        last.attempts, last.transient = attempts, transient
        raise last


def _fuller(*parts: Scores) -> Scores:
    """Give the scores of more documents; of equals the first."""
    return max(parts, key=lambda each: len(each.raw) - each.raw.count(None))


def _unseen(error: BackendError, after_s: float, document_count: int) -> Attempt:
    """Account for a failure that none of its calls shows, such as one never made."""
    return Attempt(
        backend=error.backend,
        model="",
        failure=error.reason,
        duration_s=after_s,
        document_count=document_count,
    )
