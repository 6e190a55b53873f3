"""The `Retriever` over a cluster of Weaviate, which any number of gateways read and write."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.concurrency import all_of
from gateway.retrieval.filter import Field
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Found,
    Page,
    Query,
    Scored,
    Shape,
)
from gateway.retrieval.weaviate.calls import Calls, Cluster
from gateway.retrieval.weaviate.conditions import condition
from gateway.retrieval.weaviate.legs import Legs
from gateway.retrieval.weaviate.nodes import Nodes
from gateway.retrieval.weaviate.reading import Reading
from gateway.retrieval.weaviate.shelf import Shelf
from gateway.retrieval.weaviate.versions import Versions
from gateway.retrieval.weaviate.writing import Writing

Vector = NDArray[np.float32]


class WeaviateRetriever:
    """Collections in a cluster of Weaviate.

    It need not be reachable when this is opened: each call says whether it is.

    Args:
        nodes: Connect with the first call; closed with this.
        cluster: How collections lie there.

    """

    def __init__(self, nodes: Nodes, cluster: Cluster) -> None:
        self._calls = Calls(nodes, cluster)
        self._versions = Versions(self._calls)
        self._shelf = Shelf(self._calls, self._versions)
        self._reading = Reading(self._calls)
        self._writing = Writing(self._calls, self._reading, self._versions)
        self._legs = Legs(self._calls, self._reading)

    async def open(self) -> None:
        """Do nothing: a cluster that is away now may be there when it is needed."""

    async def close(self) -> None:
        """End the connection."""
        await self._calls.close()

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        """Make a collection with its indexes."""
        return await self._shelf.make(
            name, fields=tuple(fields), dimension=dimension, embedder=embedder
        )

    async def shape(self, name: str) -> Shape:
        """Tell what is fixed about one."""
        return (await self._shelf.layout(name)).shape

    async def collection(self, name: str) -> Collection:
        """Describe one."""
        return await self._shelf.describe(name)

    async def collections(self) -> tuple[Collection, ...]:
        """Describe all of them."""
        return await self._shelf.describe_all()

    async def delete_collection(self, name: str) -> None:
        """Remove one."""
        await self._shelf.remove(name)

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        """Store documents by their ids."""
        layout = await self._shelf.layout(collection, anew=True)
        layout.check_documents(documents, embedder)
        return await self._writing.upsert(collection, documents, layout)

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Remove documents."""
        await self._shelf.layout(collection)
        return await self._writing.delete(collection, ids)

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents by their ids."""
        layout = await self._shelf.layout(collection)
        return await self._reading.get(
            collection, ids, layout, with_vectors=with_vectors
        )

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Bring a part of them, by their objects' ids."""
        layout = await self._shelf.layout(collection)
        return await self._reading.page(
            collection, after, count, layout, with_vectors=with_vectors
        )

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, Vector]:
        """Bring vectors alone."""
        layout = await self._shelf.layout(collection)
        if not layout.dimension:
            return {}
        return await self._reading.vectors(collection, ids)

    async def search(self, collection: str, query: Query) -> Found:
        """Search both legs at once."""
        layout = await self._shelf.layout(collection)
        layout.check_filter(query.filter)
        if query.vector is not None:
            layout.check_vector(query.vector, query.embedder)
        where = None
        if query.filter is not None:
            where = condition(query.filter, layout.fields)
        version = await self._versions.reached(
            collection, query.min_version, query.deadline
        )
        legs = {}
        if query.text.strip():
            legs["bm25"] = self._legs.bm25(
                collection, query.text, query.candidates, where
            )
        if query.vector is not None and layout.dimension:
            legs["vector"] = self._legs.nearest(
                collection, query.vector, query.candidates, where
            )
        found = dict(zip(legs, await all_of(*legs.values()), strict=True))
        return Found(found.get("bm25"), found.get("vector"), version)

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: Vector | None
    ) -> Mapping[str, Scored]:
        """Look up what a leg left out."""
        layout = await self._shelf.layout(collection)
        return await self._legs.scores(
            collection, ids, text=text, vector=vector, dimension=layout.dimension
        )
