"""Bring documents, vectors, and whole collections part by part."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from gateway.retrieval.errors import InvalidPage
from gateway.retrieval.qdrant.calls import Calls
from gateway.retrieval.qdrant.layout import Layout
from gateway.retrieval.qdrant.points import ID, document, point_id, vector
from gateway.retrieval.qdrant.versions import MARK
from gateway.retrieval.retriever import Document, Page

Vector = NDArray[np.float32]


class Reading:
    """What is read of collections by the ids of documents."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(
        self, name: str, ids: Sequence[str], layout: Layout, *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents in the order of the ids."""
        if not ids:
            return ()
        records = await self._calls.points(
            name, _points(ids), payload=True, vectors=with_vectors
        )
        found = {each.id: each for each in (document(one, layout) for one in records)}
        return tuple(found[each] for each in ids if each in found)

    async def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Vector]:
        """Bring vectors alone."""
        if not ids:
            return {}
        records = await self._calls.vectors(name, _points(ids))
        found = {(each.payload or {})[ID]: vector(each) for each in records}
        return {name: each for name, each in found.items() if each is not None}

    async def stored(self, name: str, ids: Sequence[str]) -> list[str]:
        """Tell which of the ids are stored."""
        if not ids:
            return []
        records = await self._calls.points(name, _points(ids), payload=[ID])
        return [(each.payload or {})[ID] for each in records]

    async def page(
        self, name: str, after: str, count: int, layout: Layout, *, with_vectors: bool
    ) -> Page:
        """Bring the documents from a point on, in the order of the points' ids."""
        try:
            start = str(UUID(after)) if after else None
        except ValueError as error:
            message = f"no page of {name!r} begins there"
            raise InvalidPage(message) from error
        records, following = await self._calls.page(
            name, start=start, count=count, vectors=with_vectors, hidden=MARK
        )
        return Page(tuple(document(each, layout) for each in records), following)


def _points(ids: Sequence[str]) -> list[str]:
    return [point_id(each) for each in dict.fromkeys(ids)]
