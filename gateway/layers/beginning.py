"""Keep scores of a beginning without a gap, where the time was over before all were there."""

from dataclasses import replace
from itertools import takewhile

from gateway.backends.errors import FailureReason
from gateway.backends.scorer import Scorer, ScoreRequest, Scores

_LATE = {FailureReason.TIMEOUT, FailureReason.DEADLINE}


class Beginning:
    """Drops what stands behind the first document that was not scored in time.

    Below it, scores from memory and scores that came in time are mixed. Those behind a gap
    would lift their documents above others that nobody had the time to judge.

    Args:
        scorer: Asked.

    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge, and cut where the answer is partial for want of time."""
        scores = await self._scorer.score(request)
        late = any(attempt.failure in _LATE for attempt in scores.attempts)
        if not (request.takes_partial and late and None in scores.raw):
            return scores
        count = sum(1 for _ in takewhile(lambda raw: raw is not None, scores.raw))
        dropped = len(scores.raw) - count
        return replace(
            scores,
            raw=scores.raw[:count] + (None,) * dropped,
            cached=frozenset(place for place in scores.cached if place < count),
        )
