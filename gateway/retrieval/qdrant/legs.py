"""What a search asks of a collection: two ranked lists, and the scores of documents."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from gateway.retrieval.cosines import cosines
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.qdrant.calls import Calls
from gateway.retrieval.qdrant.points import ID, point_id, unit
from gateway.retrieval.qdrant.reading import Reading
from gateway.retrieval.qdrant.terms import asked
from gateway.retrieval.retriever import Hit, Leg, Scored

Vector = NDArray[np.float32]


class Legs:
    """Both legs of the collections of a cluster."""

    def __init__(self, calls: Calls, reading: Reading) -> None:
        self._calls = calls
        self._reading = reading

    async def bm25(
        self,
        name: str,
        text: str,
        count: int,
        where: models.Filter | None,
        *,
        agreed: bool,
    ) -> Leg:
        """Rank by words."""
        words = asked(text)
        if not words.indices:
            return Leg()
        to = models.SparseVector(indices=words.indices, values=words.values)
        return await self._ranked(name, to, count, where, agreed=agreed)

    async def nearest(
        self,
        name: str,
        vector: Vector,
        count: int,
        where: models.Filter | None,
        *,
        agreed: bool,
    ) -> Leg:
        """Rank by cosine."""
        to = unit(vector).tolist()
        return await self._ranked(name, to, count, where, agreed=agreed)

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
        these = models.HasIdCondition(has_id=[point_id(each) for each in ids])
        leg = await self.bm25(
            name, text, len(ids), models.Filter(must=[these]), agreed=False
        )
        if leg.failure is not None:
            raise leg.failure
        words = {hit.id: hit.score for hit in leg.hits}
        return {
            each: Scored(words.get(each, 0.0), cosine) for each, cosine in there.items()
        }

    async def _ranked(
        self,
        name: str,
        to: models.SparseVector | list[float],
        count: int,
        where: models.Filter | None,
        *,
        agreed: bool,
    ) -> Leg:
        try:
            found = await self._calls.nearest(
                name, to, count=count, where=where, agreed=agreed
            )
        except RetrieverError as error:
            return Leg(failure=error)
        hits = [Hit((each.payload or {})[ID], each.score) for each in found]
        return Leg(tuple(sorted(hits, key=lambda each: (-each.score, each.id))))
