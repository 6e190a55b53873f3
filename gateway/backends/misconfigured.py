"""Stand in for a backend that cannot be asked, so that its route goes on without it."""

from gateway.backends.errors import Misconfigured
from gateway.backends.scorer import ScoreRequest, Scores


class MisconfiguredScorer:
    """Refuses every request at once.

    Args:
        name: The backend's configured name.
        problem: What is missing, such as `environment variable X is not set`.

    """

    def __init__(self, *, name: str, problem: str) -> None:
        self._name = name
        self._problem = problem

    async def score(self, _: ScoreRequest) -> Scores:
        """Raise `Misconfigured`."""
        raise Misconfigured(self._name, self._problem)
