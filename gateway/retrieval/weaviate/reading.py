"""Bring documents, vectors, and whole collections part by part."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from gateway.retrieval.errors import InvalidPage
from gateway.retrieval.layout import Layout
from gateway.retrieval.retriever import Document, Page
from gateway.retrieval.weaviate.calls import Calls
from gateway.retrieval.weaviate.layout import ID, ROLE, STORED, places
from gateway.retrieval.weaviate.naming import object_id
from gateway.retrieval.weaviate.objects import document, is_mark, properties, vector

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
        objects = await self._calls.objects(
            name, _objects(ids), properties=_all(layout), vectors=with_vectors
        )
        found = {each.id: each for each in (document(one, layout) for one in objects)}
        return tuple(found[each] for each in ids if each in found)

    async def vectors(self, name: str, ids: Sequence[str]) -> Mapping[str, Vector]:
        """Bring vectors alone."""
        if not ids:
            return {}
        objects = await self._calls.objects(
            name, _objects(ids), properties=[ID], vectors=True
        )
        found = {properties(each)[ID]: vector(each) for each in objects}
        return {name: each for name, each in found.items() if each is not None}

    async def stored(self, name: str, ids: Sequence[str]) -> list[str]:
        """Tell which of the ids are stored."""
        if not ids:
            return []
        objects = await self._calls.objects(name, _objects(ids), properties=[ID])
        return [properties(each)[ID] for each in objects]

    async def page(
        self, name: str, after: str, count: int, layout: Layout, *, with_vectors: bool
    ) -> Page:
        """Bring the documents after one, in the order of the objects' ids."""
        try:
            after = str(UUID(after)) if after else ""
        except ValueError as error:
            message = f"no page of {name!r} begins there"
            raise InvalidPage(message) from error
        while True:
            objects = await self._calls.page(
                name,
                after=after,
                count=count,
                properties=[*_all(layout), ROLE],
                vectors=with_vectors,
            )
            after = objects[-1].metadata.id if len(objects) == count else ""
            found = [document(each, layout) for each in objects if not is_mark(each)]
            # Where there was nothing but marks, it goes on.
            if found or not after:
                return Page(tuple(found), after)


def _objects(ids: Sequence[str]) -> list[str]:
    return [object_id(each) for each in dict.fromkeys(ids)]


def _all(layout: Layout) -> list[str]:
    return [ID, *STORED, *(each.exact for each in places(layout.fields).values())]
