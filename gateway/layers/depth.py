"""Put only the first documents to a model: the rest keeps its place below them."""

from dataclasses import replace

from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores


class Depth:
    """Cuts what is asked at the depth that the caller wants, or at the backend's own.

    Args:
        scorer: Asked about the first documents.
        default: How many, where the request does not say.
        default_found: The same for documents that were found in a collection, which can
            be asked what it knows about them.
        most: For a listwise model, its `max_documents` are the most that can be
            judged together; None: there is no such bound.

    """

    def __init__(
        self, scorer: Scorer, *, default: int, default_found: int, most: Facts | None
    ) -> None:
        self._scorer = scorer
        self._default = default
        self._default_found = default_found
        self._most = most

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask about the first documents and leave the others unscored."""
        default = self._default_found if request.lookup else self._default
        wanted = default if request.depth is None else request.depth
        count = len(request.documents)
        depth = self._bounded(wanted, count)
        if depth == count:
            return self._told(await self._scorer.score(request), wanted, count, depth)
        first = replace(request, documents=request.documents[:depth])
        scores = self._told(await self._scorer.score(first), wanted, count, depth)
        beyond = count - depth
        return replace(scores, raw=scores.raw + (None,) * beyond, beyond=beyond)

    def _bounded(self, wanted: int, count: int) -> int:
        most = self._most.max_documents if self._most else count
        return min(wanted, count, most)

    def _told(self, scores: Scores, wanted: int, count: int, depth: int) -> Scores:
        """Let an answer not be given again after the bound has changed."""
        again = scores.again
        if again is None or self._most is None:
            return scores
        return replace(
            scores, again=lambda: self._bounded(wanted, count) == depth and again()
        )
