"""Score a long document by its best passage, instead of by its beginning."""

from dataclasses import replace

from gateway.backends.scorer import Candidate, Scorer, ScoreRequest, Scores, Usage
from gateway.ranking.passages import split


class Passages:
    """Asks about passages and gives each document the best score of its own.

    Only for models that judge each text alone: beside others, a document of many
    passages would compete with itself. What is beyond the last passage was not read, so
    the document is `truncated`.

    Args:
        scorer: Asked about passages as if they were documents.

    """

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge every document, split where the request wants it."""
        if not request.passages:
            return await self._scorer.score(request)
        asked: list[Candidate] = []
        owners: list[int] = []
        truncated: set[int] = set()
        split_count = 0
        for place, document in enumerate(request.documents):
            passages, cut = split(document.text, most=request.passages)
            if cut:
                truncated.add(place)
            if len(passages) > 1:
                split_count += len(passages)
            asked += [document._replace(text=passage) for passage in passages]
            owners += [place] * len(passages)
        scores = await self._scorer.score(replace(request, documents=tuple(asked)))
        best: list[float | None] = [None] * len(request.documents)
        for owner, number in zip(owners, scores.raw, strict=True):
            known = best[owner]
            if number is not None and (known is None or number > known):
                best[owner] = number
        if request.takes_partial:
            # Where the time was over in the middle of a document, the best of some of its
            # passages is not the score that it would have had.
            for owner, number in zip(owners, scores.raw, strict=True):
                if number is None:
                    best[owner] = None
        return replace(
            scores,
            raw=tuple(best),
            truncated=frozenset(
                truncated | {owners[place] for place in scores.truncated}
            ),
            cached=_whole(owners, scores.cached),
            usage=scores.usage + Usage(passages=split_count),
        )


def _whole(owners: list[int], cached: frozenset[int]) -> frozenset[int]:
    """Give the documents of which every passage came from memory."""
    fresh = {owner for place, owner in enumerate(owners) if place not in cached}
    return frozenset(set(owners) - fresh)
