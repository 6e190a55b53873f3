"""What is asked of the cluster: every call with its time limit, its failures in our words."""

import json
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass

from gateway.backends.transport import Reply
from gateway.retrieval.errors import EngineFailed, UnknownCollection
from gateway.retrieval.layout import Layout
from gateway.retrieval.weaviate.conditions import any_of
from gateway.retrieval.weaviate.connecting import Node
from gateway.retrieval.weaviate.consistency import Copies
from gateway.retrieval.weaviate.failing import refused, refused_objects, said
from gateway.retrieval.weaviate.layout import (
    DENSE,
    ID,
    ROLE,
    VERSION,
    WORDS,
    definition,
    layout_of,
)
from gateway.retrieval.weaviate.naming import class_of, name_of
from gateway.retrieval.weaviate.nodes import Nodes
from gateway.retrieval.weaviate.objects import MARK
from weaviate_api.v1 import weaviate_pb2 as wire

_OBJECT_ID = "_id"
_FIRST = "00000000-0000-0000-0000-000000000000"
_MOST_MARKS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How collections lie in a cluster, and how long it may take; None: as it likes."""

    prefix: str
    """Begins the name of every class of ours, with a capital letter; empty: none does."""
    shard_number: int | None
    replication_factor: int | None
    read_s: float
    write_s: float


class Calls:
    """Asks for one collection at a time, by its own name."""

    def __init__(self, nodes: Nodes, cluster: Cluster) -> None:
        self._nodes = nodes
        self._cluster = cluster
        self._copies = Copies()

    async def close(self) -> None:
        """End the connections."""
        await self._nodes.close()

    def place(self, name: str) -> str:
        """Name the class of a collection."""
        return class_of(name, self._cluster.prefix)

    @staticmethod
    def these(ids: Iterable[str]) -> wire.Filters:
        """Give the condition that an object is one of these."""
        return any_of(_OBJECT_ID, ids)

    async def names(self) -> list[str]:
        """Name all collections of ours, by name ascending."""
        what = "the cluster"
        found = said(what, await self._schema(what, "GET", "/v1/schema", read=True))
        names = (
            name_of(each["class"], self._cluster.prefix)
            for each in found.get("classes") or []
            if layout_of(each) is not None
        )
        return sorted(each for each in names if each is not None)

    async def make(self, name: str, layout: Layout) -> None:
        """Make a collection."""
        made = definition(
            layout,
            named=self.place(name),
            shards=self._cluster.shard_number,
            copies=self._cluster.replication_factor,
        )
        await self._schema(
            name, "POST", "/v1/schema", body=json.dumps(made).encode(), read=False
        )

    async def exists(self, name: str) -> bool:
        """Tell whether there is a class of that name, ours or not."""
        try:
            await self._schema(name, "GET", self._path(name), read=False)
        except UnknownCollection:
            return False
        return True

    async def layout(self, name: str, *, anew: bool) -> Layout:
        """Read what is fixed about a collection of ours.

        Args:
            name: Of the collection.
            anew: The leader is asked, so long as there is one.

        """
        path = self._path(name)
        try:
            reply = await self._schema(name, "GET", path, read=not anew)
        except (UnknownCollection, EngineFailed) as error:
            # Whoever answers for itself may be behind; without a leader nobody else answers.
            if anew is isinstance(error, UnknownCollection):
                raise
            reply = await self._schema(name, "GET", path, read=anew)
        found = layout_of(said(name, reply))
        if found is None:
            message = f"{name!r} is a collection of Weaviate, but not one of ours"
            raise UnknownCollection(message)
        return found

    async def drop(self, name: str) -> None:
        """Remove a collection."""
        await self._schema(name, "DELETE", self._path(name), read=False)

    async def count(self, name: str) -> int:
        """Count objects, marks among them."""
        request = wire.AggregateRequest(collection=self.place(name), objects_count=True)

        def ask(node: Node) -> Awaitable[wire.AggregateReply]:
            return node.stub.Aggregate(request, metadata=self._nodes.metadata)

        reply = await self._nodes.ask(name, self._cluster.read_s, ask)
        return reply.single_result.objects_count

    async def put(self, name: str, objects: Sequence[wire.BatchObject]) -> None:
        """Store objects, durably; each replaces the one of its id."""

        async def put(level: "wire.ConsistencyLevel.ValueType", limit_s: float) -> None:
            request = wire.BatchObjectsRequest(objects=objects, consistency_level=level)

            def ask(node: Node) -> Awaitable[wire.BatchObjectsReply]:
                return node.stub.BatchObjects(request, metadata=self._nodes.metadata)

            reply = await self._nodes.ask(
                name, limit_s, ask, elsewhere=level != wire.CONSISTENCY_LEVEL_ALL
            )
            if reply.errors:
                raise refused_objects(name, reply.errors[0].error)

        await self._copies.written(self._cluster.write_s, put)

    async def remove(self, name: str, ids: Sequence[str]) -> None:
        """Remove objects."""

        async def remove(
            level: "wire.ConsistencyLevel.ValueType", limit_s: float
        ) -> None:
            request = wire.BatchDeleteRequest(
                collection=self.place(name),
                filters=self.these(ids),
                consistency_level=level,
                verbose=True,
            )

            def ask(node: Node) -> Awaitable[wire.BatchDeleteReply]:
                return node.stub.BatchDelete(request, metadata=self._nodes.metadata)

            reply = await self._nodes.ask(
                name, limit_s, ask, elsewhere=level != wire.CONSISTENCY_LEVEL_ALL
            )
            for each in reply.objects:
                if not each.successful:
                    raise refused_objects(name, each.error)

        await self._copies.written(self._cluster.write_s, remove)

    async def objects(
        self,
        name: str,
        ids: Sequence[str],
        *,
        properties: Iterable[str],
        vectors: bool = False,
    ) -> Sequence[wire.SearchResult]:
        """Bring objects, in any order."""
        return await self._search(
            name,
            wire.SearchRequest(filters=self.these(ids), limit=len(ids)),
            properties,
            vectors=vectors,
        )

    async def marks(self, name: str) -> Sequence[wire.SearchResult]:
        """Bring what writers have said how far they are."""
        return await self._search(
            name,
            wire.SearchRequest(filters=any_of(ROLE, [MARK]), limit=_MOST_MARKS),
            [VERSION],
        )

    async def page(
        self,
        name: str,
        *,
        after: str,
        count: int,
        properties: Iterable[str],
        vectors: bool,
    ) -> Sequence[wire.SearchResult]:
        """Bring the objects after one id, in the order of their ids; empty: from the first."""
        return await self._search(
            name,
            wire.SearchRequest(after=after or _FIRST, limit=count),
            properties,
            vectors=vectors,
        )

    async def by_words(
        self, name: str, text: str, *, count: int, where: wire.Filters | None
    ) -> Sequence[wire.SearchResult]:
        """Rank objects by BM25; only their names are brought."""
        request = wire.SearchRequest(
            bm25_search=wire.BM25(query=text, properties=[WORDS]),
            filters=where,
            limit=count,
        )
        return await self._search(name, request, [ID])

    async def nearest(
        self, name: str, to: wire.Vectors, *, count: int, where: wire.Filters | None
    ) -> Sequence[wire.SearchResult]:
        """Rank objects by cosine; only their names are brought."""
        near = wire.NearVector(
            vectors=[to], targets=wire.Targets(target_vectors=[DENSE])
        )
        request = wire.SearchRequest(near_vector=near, filters=where, limit=count)
        return await self._search(name, request, [ID])

    async def _search(
        self,
        name: str,
        request: wire.SearchRequest,
        properties: Iterable[str],
        *,
        vectors: bool = False,
    ) -> Sequence[wire.SearchResult]:
        request.collection = self.place(name)
        # One copy of each part is searched, whatever is asked for; what is written is
        # answered when all of them have it.
        request.consistency_level = wire.CONSISTENCY_LEVEL_ONE
        request.properties.non_ref_properties.extend(properties)
        request.metadata.uuid = True
        request.metadata.score = request.metadata.distance = True
        if vectors:
            request.metadata.vectors.append(DENSE)
        request.uses_127_api = True

        def ask(node: Node) -> Awaitable[wire.SearchReply]:
            return node.stub.Search(request, metadata=self._nodes.metadata)

        return (await self._nodes.ask(name, self._cluster.read_s, ask)).results

    async def _schema(
        self, what: str, method: str, path: str, *, body: bytes = b"", read: bool
    ) -> Reply:
        limit_s = self._cluster.read_s if method == "GET" else self._cluster.write_s

        async def ask(node: Node) -> Reply:
            reply = await self._nodes.rest(node, method, path, body=body, read=read)
            if (wrong := refused(what, reply)) is not None:
                raise wrong
            return reply

        return await self._nodes.ask(what, limit_s, ask)

    def _path(self, name: str) -> str:
        return f"/v1/schema/{self.place(name)}"
