"""What a search asks of a collection: two ranked lists, and the scores of documents."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.retrieval.cosines import cosines
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.retriever import Hit, Leg, Scored
from gateway.retrieval.weaviate.calls import Calls
from gateway.retrieval.weaviate.layout import ID
from gateway.retrieval.weaviate.naming import object_id
from gateway.retrieval.weaviate.objects import packed, properties, words
from gateway.retrieval.weaviate.reading import Reading
from weaviate_api.v1.weaviate_pb2 import Filters, SearchResult

Vector = NDArray[np.float32]


class Legs:
    """Both legs of the collections of a cluster."""

    def __init__(self, calls: Calls, reading: Reading) -> None:
        self._calls = calls
        self._reading = reading

    async def bm25(
        self, name: str, text: str, count: int, where: Filters | None
    ) -> Leg:
        """Rank by words."""
        asked = words(text)
        if not asked:
            return Leg()
        found = self._calls.by_words(name, asked, count=count, where=where)
        return await _ranked(found, lambda each: each.metadata.score)

    async def nearest(
        self, name: str, vector: Vector, count: int, where: Filters | None
    ) -> Leg:
        """Rank by cosine."""
        found = self._calls.nearest(name, packed(vector), count=count, where=where)
        return await _ranked(found, lambda each: 1.0 - each.metadata.distance)

    async def scores(
        self,
        name: str,
        ids: Sequence[str],
        *,
        text: str,
        vector: Vector | None,
        dimension: int,
    ) -> Mapping[str, Scored]:
        """Look up both scores of documents."""
        if not ids:
            return {}
        there: dict[str, float | None]
        if vector is not None and dimension:
            there = cosines(await self._reading.vectors(name, ids), vector)
        else:
            there = dict.fromkeys(await self._reading.stored(name, ids))
        these = self._calls.these([object_id(each) for each in ids])
        leg = await self.bm25(name, text, len(ids), these)
        if leg.failure is not None:
            raise leg.failure
        found = {hit.id: hit.score for hit in leg.hits}
        return {
            each: Scored(found.get(each, 0.0), cosine) for each, cosine in there.items()
        }


async def _ranked(
    asked: Awaitable[Sequence[SearchResult]], score: Callable[[SearchResult], float]
) -> Leg:
    try:
        found = await asked
    except RetrieverError as error:
        return Leg(failure=error)
    hits = [Hit(properties(each)[ID], score(each)) for each in found]
    return Leg(tuple(sorted(hits, key=lambda each: (-each.score, each.id))))
