"""Give a backend only so long to answer."""

from gateway.backends.in_time import in_time
from gateway.backends.scorer import Scorer, ScoreRequest, Scores


class Timeout:
    """Ends an attempt at the backend's own limit, or when the caller's time is over.

    Args:
        scorer: The backend itself: nothing but its slowness is measured.
        backend: Its name, for errors.
        attempt_s: The backend's own limit for one attempt.
        fair_s: An attempt that was ended sooner than this blames nobody.

    """

    def __init__(
        self, scorer: Scorer, *, backend: str, attempt_s: float, fair_s: float
    ) -> None:
        self._scorer = scorer
        self._backend = backend
        self._attempt_s = attempt_s
        self._fair_s = fair_s

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, and raise `TimedOut` or `OutOfTime` when it takes too long."""
        return await in_time(
            lambda: self._scorer.score(request),
            deadline=request.deadline,
            backend=self._backend,
            attempt_s=self._attempt_s,
            fair_s=self._fair_s,
        )
