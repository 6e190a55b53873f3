"""Who gives up leaves nothing behind, and a gateway that stops loses no call."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    execution_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)
from tests.e2e.running import Running, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Play, Vendor, hang

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["llamacpp"]
_ANSWER = _SHAPE.scored(len)
_PATIENCE_S = 20


@asynccontextmanager
async def _scene(
    play: Play, **backend: object
) -> AsyncIterator[tuple[Running, Vendor]]:
    async with Vendor(play) as vendor:
        settings: dict[str, Any] = {
            "backends": {
                "slow": {
                    "dialect": "llamacpp",
                    "url": vendor.url,
                    **_SHAPE.settings,
                    **backend,
                }
            },
            "routes": {"default": {"backends": ["slow"]}},
        }
        async with running(settings) as gateway:
            yield gateway, vendor


class Gate:
    """A vendor's answer that waits until it is let go."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await self.opened.wait()
        await _ANSWER(exchange)


async def test_a_cancelled_call_is_cancelled_at_the_backend() -> None:
    before = asyncio.all_tasks()
    async with _scene(hang) as (gateway, vendor):
        call = gateway.stub.Rerank(rerank_request(5))
        await vendor.until(lambda: vendor.in_progress == 1)

        call.cancel()

        await vendor.until(lambda: not vendor.in_progress)
        await vendor.until(lambda: not vendor.open_connections)
        assert vendor.abandoned == 1
    assert asyncio.all_tasks() <= before


async def test_every_chunk_of_a_cancelled_call_is_cancelled() -> None:
    async with _scene(hang, max_documents=2) as (gateway, vendor):
        call = gateway.stub.Rerank(rerank_request(5))
        await vendor.until(lambda: vendor.in_progress == 3)

        call.cancel()

        await vendor.until(lambda: not vendor.in_progress)
        assert vendor.abandoned == 3


async def test_a_caller_that_disappears_is_like_one_that_cancels() -> None:
    async with _scene(hang) as (gateway, vendor):
        other = grpc.aio.insecure_channel(
            gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        method: Any = other.unary_unary("/rerank.v1.RerankService/Rerank")
        call = method(rerank_request(5).SerializeToString())
        await vendor.until(lambda: vendor.in_progress == 1)

        await other.close()

        await vendor.until(lambda: not vendor.in_progress)
        assert vendor.abandoned == 1
        assert call.done()


async def test_a_cancelled_call_gives_its_turn_to_the_next() -> None:
    gate = Gate()
    async with _scene(gate, max_in_flight=1, max_queued=1) as (gateway, vendor):
        asked = gateway.stub.Rerank(rerank_request(5))
        await vendor.until(lambda: vendor.in_progress == 1)
        waiting = await _one_that_waits(gateway)

        asked.cancel()
        await vendor.until(lambda: vendor.abandoned == 1)
        gate.opened.set()

        response = await waiting
        assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
        assert len(vendor.received) == 2


async def test_a_call_cancelled_in_the_queue_is_never_asked() -> None:
    gate = Gate()
    async with _scene(gate, max_in_flight=1, max_queued=1) as (gateway, vendor):
        asked = gateway.stub.Rerank(rerank_request(5), timeout=_PATIENCE_S)
        await vendor.until(lambda: vendor.in_progress == 1)
        task_count = len(asyncio.all_tasks())
        waiting = await _one_that_waits(gateway)

        waiting.cancel()
        async with asyncio.timeout(_PATIENCE_S):
            # No event tells that the gateway has heard of it.
            while len(asyncio.all_tasks()) > task_count:  # noqa: ASYNC110 - see above
                await asyncio.sleep(0)
        gate.opened.set()

        response = await asked
        assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
        # Its place is free again.
        again = await gateway.stub.Rerank(rerank_request(5), timeout=_PATIENCE_S)
        assert again.execution.outcome == execution_pb2.OUTCOME_RERANKED
        assert len(vendor.received) == 2


async def _one_that_waits(
    gateway: Running,
) -> asyncio.Task[rerank_service_pb2.RerankResponse]:
    """Fill a queue of one: of two calls, one is refused at once, so the other waits."""

    async def ask(query: str) -> rerank_service_pb2.RerankResponse:
        request = rerank_request(5, query=query)
        return await gateway.stub.Rerank(request, timeout=_PATIENCE_S)

    both = [asyncio.create_task(ask(query)) for query in ("one", "another")]
    (refused,), (waiting,) = await asyncio.wait(
        both, return_when=asyncio.FIRST_COMPLETED
    )
    assert (await refused).execution.fallback_reason == (
        execution_pb2.FALLBACK_REASON_OVERLOADED
    )
    return waiting


async def test_a_stop_lets_calls_in_flight_finish_and_takes_no_new_ones() -> None:
    gate = Gate()
    async with _scene(gate) as (gateway, vendor):
        health: Any = health_pb2_grpc.HealthStub(gateway.channel)
        watch = health.Watch(
            health_pb2.HealthCheckRequest(service="rerank.v1.RerankService")
        )
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        call = gateway.stub.Rerank(rerank_request(5), timeout=_PATIENCE_S)
        await vendor.until(lambda: vendor.in_progress == 1)

        stop = asyncio.create_task(gateway.server.stop(grace_s=_PATIENCE_S))

        told = await watch.read()
        assert told.status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await _until_refused(gateway)
        assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert not call.done()
        assert not stop.done()

        gate.opened.set()

        response = await call
        assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
        await asyncio.wait_for(stop, _PATIENCE_S)


def _rerank(channel: Any) -> Any:
    return rerank_service_pb2_grpc.RerankServiceStub(channel).Rerank(rerank_request(5))


def _rerank_batch(channel: Any) -> Any:
    stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
    return stub.RerankBatch(
        rerank_service_pb2.RerankBatchRequest(
            request_id=str(number), request=rerank_request(5, query=str(number))
        )
        for number in range(20)
    )


def _check_backend(channel: Any) -> Any:
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    return stub.CheckBackend(backend_service_pb2.CheckBackendRequest(name="slow"))


def _search(channel: Any) -> Any:
    stub = search_service_pb2_grpc.SearchServiceStub(channel)
    return stub.Search(search_service_pb2.SearchRequest(query="a", collection="here"))


def _search_progressively(channel: Any) -> Any:
    stub = search_service_pb2_grpc.SearchServiceStub(channel)
    search = search_service_pb2.SearchRequest(query="a", collection="here")
    return stub.SearchProgressive(
        search_service_pb2.SearchProgressiveRequest(search=search)
    )


def _search_nowhere(channel: Any) -> Any:
    stub = search_service_pb2_grpc.SearchServiceStub(channel)
    search = search_service_pb2.SearchRequest(query="a", collection="nowhere")
    return stub.SearchProgressive(
        search_service_pb2.SearchProgressiveRequest(search=search)
    )


def _import(channel: Any) -> Any:
    return _import_into("here", channel)


def _import_nowhere(channel: Any) -> Any:
    return _import_into("nowhere", channel)


def _import_into(collection: str, channel: Any) -> Any:
    stub = document_service_pb2_grpc.DocumentServiceStub(channel)
    return stub.ImportDocuments(
        document_service_pb2.ImportDocumentsRequest(
            collection=collection,
            batch_id=str(batch),
            documents=[document_pb2.Document(id=str(batch), text="a b c")],
        )
        for batch in range(3)
    )


@pytest.mark.parametrize(
    "begin",
    [
        _rerank,
        _rerank_batch,
        _check_backend,
        _search,
        _search_progressively,
        _search_nowhere,
        _import,
        _import_nowhere,
    ],
)
async def test_callers_who_leave_at_any_moment_are_not_logged(
    begin: Callable[[Any], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moments = random.Random(begin.__name__)
    async with Vendor(_ANSWER) as vendor:
        settings: dict[str, Any] = {
            "backends": {
                "slow": {"dialect": "llamacpp", "url": vendor.url, **_SHAPE.settings}
            },
            "routes": {"default": {"backends": ["slow"]}},
            "retrieval": {"engine": "embedded", "path": str(tmp_path)},
            "embedder": {"dialect": "none"},
        }
        with caplog.at_level(logging.WARNING):
            async with running(settings) as gateway:
                documents: Any = document_service_pb2_grpc.DocumentServiceStub(
                    gateway.channel
                )
                await documents.CreateCollection(
                    document_service_pb2.CreateCollectionRequest(name="here")
                )

                async def leave(after_s: float) -> None:
                    call = begin(gateway.channel)
                    await asyncio.sleep(after_s)
                    call.cancel()

                for _ in range(3):
                    await asyncio.gather(
                        *(leave(moments.uniform(0, 0.03)) for _ in range(40))
                    )
    assert not [
        record
        for record in caplog.records
        if record.name.startswith(("gateway.rpc", "grpc", "asyncio")) or record.exc_info
    ]


async def test_a_watcher_of_the_health_does_not_hold_up_a_stop() -> None:
    async with _scene(hang) as (gateway, _):
        health: Any = health_pb2_grpc.HealthStub(gateway.channel)
        watch = health.Watch(health_pb2.HealthCheckRequest(service=""))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING

        await asyncio.wait_for(gateway.server.stop(grace_s=600), _PATIENCE_S)

        told = await watch.read()
        assert told.status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await watch.read() is grpc.aio.EOF


async def _until_refused(gateway: Running) -> None:
    """Call until the listening sockets are closed: health is told a moment before."""
    request = rerank_request(0)
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            async with grpc.aio.insecure_channel(
                gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel:
                method: Any = channel.unary_unary("/rerank.v1.RerankService/Rerank")
                await method(request.SerializeToString(), timeout=_PATIENCE_S)


async def test_what_outlasts_the_grace_is_cancelled_at_the_backend_too() -> None:
    async with _scene(hang) as (gateway, vendor):
        call = gateway.stub.Rerank(rerank_request(5), timeout=_PATIENCE_S)
        await vendor.until(lambda: vendor.in_progress == 1)

        await gateway.server.stop(grace_s=0.05)

        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await call
        assert ended.value.code() in {
            grpc.StatusCode.UNAVAILABLE,
            grpc.StatusCode.CANCELLED,
        }
        await vendor.until(lambda: not vendor.in_progress)
        assert vendor.abandoned == 1
