"""SIGTERM: readiness goes first, and what is under way is answered within the grace."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2

from rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import Serving, serving
from tests.e2e.vendor import Exchange, Vendor

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PATIENCE_S = 30.0
_GRACE_S = 20.0


class Held:
    """A vendor's play that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await self.may_answer.wait()
        await _SHAPE.scored(place_of)(exchange)


@asynccontextmanager
async def _serving(
    vendor: Vendor, *arguments: str, grace_s: float = _GRACE_S
) -> AsyncIterator[Serving]:
    environ = {
        "RERANK_GATEWAY_BACKEND": f"tei+{vendor.url}",
        "RERANK_GATEWAY__SERVER__GRACE_S": str(grace_s),
        "RERANK_GATEWAY__LOGS__FORMAT": "json",
    }
    async with serving(*arguments, environ=environ) as server:
        yield server


def _batch(name: str) -> rerank_service_pb2.RerankBatchRequest:
    return rerank_service_pb2.RerankBatchRequest(
        request_id=name, request=rerank_request(3, query=name)
    )


async def _as_long_as_it_answers(client: httpx.AsyncClient, url: str) -> None:
    while True:
        await client.get(url)


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_readiness_goes_first_and_a_stream_is_answered(workers: str) -> None:
    held = Held()
    async with (
        Vendor(held, info=_SHAPE.info) as vendor,
        _serving(vendor, "--workers", workers) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        watch: Any = channel.unary_stream(
            "/grpc.health.v1.Health/Watch",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        health = watch(health_pb2.HealthCheckRequest(service="rerank.v1.RerankService"))
        ready = await health.read()
        assert ready.status == health_pb2.HealthCheckResponse.SERVING
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        stream: Any = stub.RerankBatch(timeout=_PATIENCE_S)
        for name in ("a", "b"):
            await stream.write(_batch(name))
        await vendor.until(lambda: len(vendor.received) == 2)

        server.send_signal(signal.SIGTERM)
        # While both are under way, nobody is sent here any more.
        ready = await health.read()
        assert ready.status == health_pb2.HealthCheckResponse.NOT_SERVING
        held.may_answer.set()
        answers = [await stream.read(), await stream.read()]
        assert {each.request_id for each in answers} == {"a", "b"}
        assert all(each.HasField("response") for each in answers)
        # The stream is the caller's: what it asks within the grace is answered.
        await stream.write(_batch("c"))
        assert (await stream.read()).request_id == "c"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        assert await stream.code() is grpc.StatusCode.OK
        assert (await server.ended()).code == 0


async def test_a_request_by_http_is_answered_and_nobody_else_is_let_in() -> None:
    held = Held()
    async with (
        Vendor(held, info=_SHAPE.info) as vendor,
        _serving(vendor, "--http-address", "127.0.0.1:0") as server,
        httpx.AsyncClient(timeout=_PATIENCE_S) as client,
    ):
        line = json.loads(await server.read_until("the APIs of vendors"))
        url = line["message"].rpartition(" ")[2]
        body = {"query": "q", "texts": ["text 0", "text 1"]}
        under_way = asyncio.create_task(client.post(f"{url}/tei/rerank", json=body))
        await vendor.until(lambda: bool(vendor.received))
        server.send_signal(signal.SIGTERM)
        await server.read_until("stopping")
        async with httpx.AsyncClient() as late, asyncio.timeout(_PATIENCE_S):
            with pytest.raises(httpx.ConnectError):
                await _as_long_as_it_answers(late, f"{url}/health")
        held.may_answer.set()
        assert (await under_way).status_code == 200
        assert (await server.ended()).code == 0


async def test_a_stream_that_does_not_end_is_ended_with_the_grace() -> None:
    async with (
        Vendor(_SHAPE.scored(place_of), info=_SHAPE.info) as vendor,
        _serving(vendor, grace_s=0.5) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        stream = stub.RerankBatch(timeout=_PATIENCE_S)
        await stream.write(_batch("a"))
        await stream.read()
        server.send_signal(signal.SIGTERM)
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await stream.read()
        # Worth another try, with another gateway.
        assert ended.value.code() is grpc.StatusCode.UNAVAILABLE
        assert (await server.ended()).code == 0


async def test_the_grace_is_that_of_the_newest_configuration(tmp_path: Path) -> None:
    held = Held()
    async with Vendor(held, info=_SHAPE.info) as vendor:
        file = tmp_path / "gateway.toml"
        text = f"""
            routes.default.backends = ["tei"]
            backends.tei = {{ dialect = "tei", url = "{vendor.url}" }}
        """
        file.write_text(text + "\nserver.grace_s = 3600")
        async with (
            serving("--config", str(file)) as server,
            grpc.aio.insecure_channel(server.address) as channel,
        ):
            file.write_text(text + "\nserver.grace_s = 0.1")
            server.send_signal(signal.SIGHUP)
            await server.read_until("was reloaded")
            stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
            under_way = asyncio.ensure_future(
                stub.Rerank(rerank_request(2), timeout=_PATIENCE_S)
            )
            await vendor.until(lambda: bool(vendor.received))
            finished = await server.stop(signal.SIGTERM)
            assert finished.code == 0
            with pytest.raises(grpc.aio.AioRpcError):
                await under_way
