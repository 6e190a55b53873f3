"""Leave out what a model does not read: most judge by texts alone."""

from dataclasses import replace

from gateway.backends.scorer import Scorer, ScoreRequest, Scores


class TextAlone:
    """Forgets where documents were found, and the query's vector.

    So what a search asks is what anybody could ask: its scores are remembered, and it
    shares the calls of others. A scorer that asks the collection must not stand below.

    Args:
        scorer: Judges by texts alone.

    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask without them."""
        if request.lookup is not None or request.query_embedding is not None:
            request = replace(request, lookup=None, query_embedding=None, space="")
        return await self._scorer.score(request)
