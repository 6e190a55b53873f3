"""A server of Qdrant's gRPC over Qdrant's own storage and search: one node, one shard each.

The messages and servicers are those of `qdrant_client`, the engine is `qdrant_edge`, which
is the code of a shard of a real server. What it has not: shards, replicas, Raft.
"""

import asyncio
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio
import qdrant_edge as edge
from google.protobuf.message import Message
from qdrant_client import grpc as wire

from tests.support import qdrant_shapes as shapes

T = TypeVar("T")

_REQUEST = "request.binpb"
_PATIENCE_S = 20.0
_DONE = wire.UpdateResult(operation_id=1, status=wire.UpdateStatus.Completed)


class QdrantServer:
    """What is stored, what was asked, and how it is to fail.

    `faults` says by the name of a method with which status its next calls end; `stalls`
    name those that never answer, `lost` those whose next answer does not arrive; `key` is
    what callers have to bring, where it is not empty; `asked` are the requests so far, and
    `left` counts calls whose callers went away.
    """

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self.faults: dict[str, list[tuple[grpc.StatusCode, str]]] = {}
        self.stalls: set[str] = set()
        self.key = ""
        self.lost: set[str] = set()
        self.asked: list[Message] = []
        self.left: Counter[str] = Counter()
        self.unfinished = False
        self.noticed = asyncio.Event()
        self._folder = folder
        self._shards: dict[str, edge.EdgeShard] = {}
        self._requests: dict[str, wire.CreateCollection] = {}
        for path in sorted(folder.iterdir()):
            request = wire.CreateCollection.FromString((path / _REQUEST).read_bytes())
            self._requests[path.name] = request
            self._shards[path.name] = edge.EdgeShard.load(str(path / "shard"))

    def last(self, kind: type[T]) -> T:
        """Give the last request of a kind."""
        return next(each for each in reversed(self.asked) if isinstance(each, kind))

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds of what was asked or of who left."""
        async with asyncio.timeout(_PATIENCE_S):
            while not holds():
                self.noticed.clear()
                await self.noticed.wait()

    def close(self) -> None:
        for shard in self._shards.values():
            shard.close()

    def make(self, request: wire.CreateCollection) -> None:
        name = request.collection_name
        path = self._folder / name
        (path / "shard").mkdir(parents=True)
        (path / _REQUEST).write_bytes(request.SerializeToString())
        self._shards[name] = edge.EdgeShard.create(
            str(path / "shard"), shapes.config(request)
        )
        self._requests[name] = request

    def remove(self, name: str) -> bool:
        if name not in self._shards:
            return False
        self._shards.pop(name).close()
        del self._requests[name]
        shutil.rmtree(self._folder / name)
        return True

    def names(self) -> list[str]:
        return list(self._requests)

    def request_of(self, name: str) -> wire.CreateCollection:
        return self._requests[name]

    def shard(self, name: str) -> edge.EdgeShard:
        return self._shards[name]

    def done(self) -> wire.UpdateResult:
        if self.unfinished:
            return wire.UpdateResult(status=wire.UpdateStatus.Acknowledged)
        return _DONE


class _Asked(grpc.aio.ServerInterceptor):
    """Writes down what is asked, and fails where it is told to."""

    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    async def intercept_service(
        self,
        continuation: Callable[[Any], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        handler = await continuation(handler_call_details)
        method = handler_call_details.method.rpartition("/")[2]
        server = self._server

        async def answered(request: Message, context: Any) -> Any:
            server.asked.append(request)
            server.noticed.set()
            brought = dict(handler_call_details.invocation_metadata)
            if server.key and brought.get("api-key") != server.key:
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key")
            if faults := server.faults.get(method):
                await context.abort(*faults.pop(0))
            if method in server.stalls:
                try:
                    await asyncio.Event().wait()
                finally:
                    server.left[method] += 1
                    server.noticed.set()
            name = getattr(request, "collection_name", "")
            unknown = name and name not in server.names()
            if unknown and method not in ("Create", "CollectionExists"):
                await context.abort(
                    grpc.StatusCode.NOT_FOUND,
                    f"Not found: Collection `{name}` doesn't exist!",
                )
            try:
                answer = await handler.unary_unary(request, context)
            except Exception as error:  # noqa: BLE001 - the engine has no other
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            if method in server.lost:
                server.lost.discard(method)
                await context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
            return answer

        return grpc.unary_unary_rpc_method_handler(
            answered,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class _Collections(wire.CollectionsServicer):
    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    async def Create(self, request: wire.CreateCollection, context: Any) -> Any:  # noqa: N802
        if request.collection_name in self._server.names():
            await context.abort(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Wrong input: Collection `{request.collection_name}` already exists!",
            )
        self._server.make(request)
        return wire.CollectionOperationResponse(result=True)

    async def Delete(self, request: wire.DeleteCollection, context: Any) -> Any:  # noqa: N802
        del context
        removed = self._server.remove(request.collection_name)
        return wire.CollectionOperationResponse(result=removed)

    async def CollectionExists(  # noqa: N802
        self, request: wire.CollectionExistsRequest, context: Any
    ) -> Any:
        del context
        exists = request.collection_name in self._server.names()
        return wire.CollectionExistsResponse(
            result=wire.CollectionExists(exists=exists)
        )

    async def List(self, request: wire.ListCollectionsRequest, context: Any) -> Any:  # noqa: N802
        del request, context
        return wire.ListCollectionsResponse(
            collections=[
                wire.CollectionDescription(name=each) for each in self._server.names()
            ]
        )

    async def Get(self, request: wire.GetCollectionInfoRequest, context: Any) -> Any:  # noqa: N802
        del context
        made = self._server.request_of(request.collection_name)
        return wire.GetCollectionInfoResponse(
            result=wire.CollectionInfo(
                status=wire.CollectionStatus.Green,
                optimizer_status=wire.OptimizerStatus(ok=True),
                config=wire.CollectionConfig(
                    params=wire.CollectionParams(
                        shard_number=1,
                        vectors_config=made.vectors_config,
                        sparse_vectors_config=made.sparse_vectors_config,
                    ),
                    hnsw_config=wire.HnswConfigDiff(
                        m=16, ef_construct=100, full_scan_threshold=10000
                    ),
                    optimizer_config=wire.OptimizersConfigDiff(
                        deleted_threshold=0.2,
                        vacuum_min_vector_number=1000,
                        default_segment_number=0,
                        flush_interval_sec=5,
                    ),
                    wal_config=wire.WalConfigDiff(
                        wal_capacity_mb=32, wal_segments_ahead=0
                    ),
                    metadata=made.metadata,
                ),
            )
        )


class _Points(wire.PointsServicer):
    def __init__(self, server: QdrantServer) -> None:
        self._server = server

    async def Upsert(self, request: wire.UpsertPoints, context: Any) -> Any:  # noqa: N802
        del context
        operation = edge.UpdateOperation.upsert_points(
            shapes.points(request.points), shapes.condition(request.update_filter)
        )
        return await self._update(request.collection_name, operation)

    async def Delete(self, request: wire.DeletePoints, context: Any) -> Any:  # noqa: N802
        del context
        operation = edge.UpdateOperation.delete_points(
            shapes.ids(request.points.points.ids)
        )
        return await self._update(request.collection_name, operation)

    async def CreateFieldIndex(  # noqa: N802
        self, request: wire.CreateFieldIndexCollection, context: Any
    ) -> Any:
        del context
        operation = edge.UpdateOperation.create_field_index(
            request.field_name, shapes.field_type(request)
        )
        return await self._update(request.collection_name, operation)

    async def Get(self, request: wire.GetPoints, context: Any) -> Any:  # noqa: N802
        del context
        shard = self._server.shard(request.collection_name)
        found = await asyncio.to_thread(
            shard.retrieve,
            shapes.ids(request.ids),
            shapes.with_payload(request.with_payload),
            shapes.with_vectors(request.with_vectors),
        )
        return wire.GetResponse(result=[_retrieved(each) for each in found])

    async def Scroll(self, request: wire.ScrollPoints, context: Any) -> Any:  # noqa: N802
        del context
        shard = self._server.shard(request.collection_name)
        start = shapes.ids([request.offset])[0] if request.HasField("offset") else None
        found, following = await asyncio.to_thread(
            shard.scroll,
            edge.ScrollRequest(
                offset=start,
                limit=request.limit,
                filter=shapes.condition(request.filter),
                with_payload=shapes.with_payload(request.with_payload),
                with_vector=shapes.with_vectors(request.with_vectors),
            ),
        )
        return wire.ScrollResponse(
            next_page_offset=None
            if following is None
            else shapes.id_message(following),
            result=[_retrieved(each) for each in found],
        )

    async def Count(self, request: wire.CountPoints, context: Any) -> Any:  # noqa: N802
        del context
        shard = self._server.shard(request.collection_name)
        asked = edge.CountRequest(
            exact=request.exact, filter=shapes.condition(request.filter)
        )
        count = await asyncio.to_thread(shard.count, asked)
        return wire.CountResponse(result=wire.CountResult(count=count))

    async def Query(self, request: wire.QueryPoints, context: Any) -> Any:  # noqa: N802
        del context
        shard = self._server.shard(request.collection_name)
        asked = edge.QueryRequest(
            limit=request.limit,
            query=shapes.query(request),
            filter=shapes.condition(request.filter),
            params=shapes.params(request),
            with_payload=shapes.with_payload(request.with_payload),
            with_vector=shapes.with_vectors(request.with_vectors),
        )
        found = await asyncio.to_thread(shard.query, asked)
        return wire.QueryResponse(
            result=[
                wire.ScoredPoint(
                    id=shapes.id_message(each.id),
                    payload=shapes.payload(each.payload),
                    score=each.score,
                    version=each.version,
                )
                for each in found
            ]
        )

    async def _update(self, name: str, operation: edge.UpdateOperation) -> Any:
        await asyncio.to_thread(self._server.shard(name).update, operation)
        return wire.PointsOperationResponse(result=self._server.done())


def _retrieved(found: edge.Record) -> wire.RetrievedPoint:
    return wire.RetrievedPoint(
        id=shapes.id_message(found.id),
        payload=shapes.payload(found.payload),
        vectors=shapes.vectors(found.vector),
    )


@asynccontextmanager
async def qdrant_server(
    folder: Path, *, address: str = "127.0.0.1:0"
) -> AsyncIterator[QdrantServer]:
    """Serve what is in a folder, on a port of its own or on that of one before."""
    played = QdrantServer(folder)
    server = grpc.aio.server(
        interceptors=[_Asked(played)],
        options=[("grpc.max_receive_message_length", 32 * 2**20)],
    )
    wire.add_CollectionsServicer_to_server(_Collections(played), server)  # type: ignore[no-untyped-call]  # generated
    wire.add_PointsServicer_to_server(_Points(played), server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port(address)
    played.address = f"127.0.0.1:{port}"
    await server.start()
    try:
        yield played
    finally:
        await server.stop(grace=0)
        played.close()
