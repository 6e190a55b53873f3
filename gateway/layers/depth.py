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
        depth = default if request.depth is None else request.depth
        if self._most:
            depth = min(depth, self._most.max_documents)
        beyond = max(len(request.documents) - depth, 0)
        if not beyond:
            return await self._scorer.score(request)
        first = replace(request, documents=request.documents[:depth])
        scores = await self._scorer.score(first)
        return replace(scores, raw=scores.raw + (None,) * beyond, beyond=beyond)
