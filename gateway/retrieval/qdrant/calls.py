"""What is asked of the cluster: every call with its time limit, its failures in our words."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

from qdrant_client import AsyncQdrantClient, models

from gateway.retrieval.errors import EngineFailed, UnknownCollection
from gateway.retrieval.qdrant.conditions import indexes
from gateway.retrieval.qdrant.failing import told
from gateway.retrieval.qdrant.layout import Layout, layout_of
from gateway.retrieval.qdrant.points import DENSE, ID, VECTOR, WORDS

Consistency = Literal["majority", "quorum", "all"]

# Serialised by one of the replicas, so that two writes at once end alike on all of them.
_ORDERING = models.WriteOrdering.MEDIUM
# The graph is searched so widely for a recall of 0.99.
_WIDEST = 2
_WIDE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How collections lie in a cluster, and how long it may take; None: as it likes."""

    prefix: str
    """Begins the name of every collection of ours."""
    shard_number: int | None
    replication_factor: int | None
    write_consistency_factor: int | None
    read_consistency: Consistency | None
    mean_terms: float
    read_s: float
    write_s: float


class Calls:
    """Asks for one collection at a time, by its name without the prefix."""

    def __init__(self, client: AsyncQdrantClient, cluster: Cluster) -> None:
        self._client = client
        self._cluster = cluster

    async def close(self) -> None:
        """End the connection."""
        await self._client.close()

    async def names(self) -> list[str]:
        """Name all collections that may be ours, by name ascending."""
        prefix = self._cluster.prefix
        async with self._asking("the cluster", self._cluster.read_s):
            found = (await self._client.get_collections()).collections
        return sorted(
            each.name.removeprefix(prefix)
            for each in found
            if each.name.startswith(prefix)
        )

    async def make(self, name: str, layout: Layout) -> None:
        """Make a collection with its indexes, or nothing."""
        cluster, place = self._cluster, self._place(name)
        vectors = {}
        if layout.dimension:
            # Of vectors of length 1, the dot product is the cosine; with the distance of
            # that name, Qdrant would give back other numbers than it was given.
            vectors[DENSE] = models.VectorParams(
                size=layout.dimension, distance=models.Distance.DOT
            )
        idf = models.SparseVectorParams(modifier=models.Modifier.IDF)
        async with self._asking(name, cluster.write_s):
            await self._client.create_collection(
                place,
                vectors_config=vectors,
                sparse_vectors_config={WORDS: idf},
                shard_number=cluster.shard_number,
                replication_factor=cluster.replication_factor,
                write_consistency_factor=cluster.write_consistency_factor,
                metadata=layout.metadata,
                # A cluster may refuse conditions on what has no index: of the lists that
                # are compared only the first number has one.
                strict_mode_config=models.StrictModeConfig(
                    unindexed_filtering_retrieve=True, unindexed_filtering_update=True
                ),
            )
        await self.index(name, layout)

    async def index(self, name: str, layout: Layout) -> None:
        """Make the indexes of a collection, or remove it."""
        try:
            for path, kind in indexes(layout.fields):
                async with self._asking(name, self._cluster.write_s):
                    await self._client.create_payload_index(
                        self._place(name), path, field_schema=kind, wait=True
                    )
        except BaseException:
            await self.drop(name)
            raise

    async def exists(self, name: str) -> bool:
        """Tell whether there is one of that name, ours or not."""
        async with self._asking(name, self._cluster.read_s):
            return await self._client.collection_exists(self._place(name))

    async def layout(self, name: str) -> Layout:
        """Read what is fixed about a collection of ours."""
        async with self._asking(name, self._cluster.read_s):
            info = await self._client.get_collection(self._place(name))
        found = layout_of(info.config.metadata)
        if found is None:
            message = f"{name!r} is a collection of Qdrant, but not one of ours"
            raise UnknownCollection(message)
        return found

    async def drop(self, name: str) -> None:
        """Remove a collection."""
        async with self._asking(name, self._cluster.write_s):
            await self._client.delete_collection(self._place(name))

    async def count(self, name: str) -> int:
        """Count points."""
        async with self._asking(name, self._cluster.read_s):
            found = await self._client.count(self._place(name), exact=True)
        return found.count

    async def put(
        self,
        name: str,
        points: Sequence[models.PointStruct],
        *,
        only_over: models.Filter | None = None,
    ) -> None:
        """Store points, durably.

        Args:
            name: Of the collection.
            points: Each replaces the one of its id.
            only_over: What that one has to fulfil to be replaced.

        """
        async with self._asking(name, self._cluster.write_s):
            done = await self._client.upsert(
                self._place(name),
                list(points),
                wait=True,
                ordering=_ORDERING,
                update_filter=only_over,
            )
        _check(name, done)

    async def remove(self, name: str, ids: Sequence[str]) -> None:
        """Remove points."""
        async with self._asking(name, self._cluster.write_s):
            done = await self._client.delete(
                self._place(name),
                models.PointIdsList(points=list(ids)),
                wait=True,
                ordering=_ORDERING,
            )
        _check(name, done)

    async def points(
        self,
        name: str,
        ids: Sequence[str],
        *,
        payload: bool | Sequence[str],
        vectors: bool = False,
        agreed: bool = False,
    ) -> list[models.Record]:
        """Bring points, in any order.

        Args:
            name: Of the collection.
            ids: Of the points.
            payload: All of it, none of it, or which parts.
            vectors: Whether vectors come with them.
            agreed: Most of the replicas are asked, and not just one.

        """
        async with self._asking(name, self._cluster.read_s):
            return await self._client.retrieve(
                self._place(name),
                list(ids),
                with_payload=payload if isinstance(payload, bool) else list(payload),
                with_vectors=[DENSE] if vectors else False,
                consistency=self._consistency(agreed=agreed),
            )

    async def page(
        self, name: str, *, start: str | None, count: int, vectors: bool, hidden: str
    ) -> tuple[list[models.Record], str]:
        """Bring the points from one id on, and give the id of the next; empty: none."""
        hide = models.Filter(must_not=[models.HasIdCondition(has_id=[hidden])])
        async with self._asking(name, self._cluster.read_s):
            found, after = await self._client.scroll(
                self._place(name),
                scroll_filter=hide,
                limit=count,
                offset=start,
                with_payload=True,
                with_vectors=[DENSE] if vectors else False,
                consistency=self._consistency(agreed=False),
            )
        return found, "" if after is None else str(after)

    async def nearest(
        self,
        name: str,
        to: models.SparseVector | list[float],
        *,
        count: int,
        where: models.Filter | None,
        agreed: bool,
    ) -> list[models.ScoredPoint]:
        """Rank points by the dot product with a vector; only their ids are brought."""
        by_words = isinstance(to, models.SparseVector)
        widely = models.SearchParams(hnsw_ef=max(_WIDE, _WIDEST * count))
        async with self._asking(name, self._cluster.read_s):
            found = await self._client.query_points(
                self._place(name),
                query=to,
                using=WORDS if by_words else DENSE,
                query_filter=where,
                search_params=None if by_words else widely,
                limit=count,
                with_payload=[ID],
                consistency=self._consistency(agreed=agreed),
            )
        return found.points

    async def vectors(self, name: str, ids: Sequence[str]) -> list[models.Record]:
        """Bring vectors, in any order."""
        return await self.points(name, ids, payload=[ID, VECTOR], vectors=True)

    def _consistency(self, *, agreed: bool) -> models.ReadConsistency | None:
        asked = self._cluster.read_consistency
        if asked is None:
            return models.ReadConsistencyType.QUORUM if agreed else None
        return models.ReadConsistencyType(asked)

    def _place(self, name: str) -> str:
        return f"{self._cluster.prefix}{name}"

    @asynccontextmanager
    async def _asking(self, what: str, limit_s: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(limit_s):
                with told(what):
                    yield
        except TimeoutError as error:
            message = f"{what}: the engine did not answer in {limit_s:g} s"
            raise EngineFailed(message) from error


def _check(name: str, done: models.UpdateResult) -> None:
    if done.status is not models.UpdateStatus.COMPLETED:
        # It is in the log of a replica, and nobody knows whether it can be read yet.
        message = f"{name}: the engine has not finished the write"
        raise EngineFailed(message)
