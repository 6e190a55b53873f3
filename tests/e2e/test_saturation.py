"""What callers and operators see of a process that has more calls than it takes."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from rerank.v1 import backend_service_pb2, backend_service_pb2_grpc
from tests.e2e.running import Running, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor, hang

pytestmark = pytest.mark.real_time

_SHAPE = SHAPES["simple"][0]


@pytest.fixture
async def saturated() -> AsyncIterator[Running]:
    """Give a gateway that takes two calls, and has them."""
    async with Vendor(hang) as vendor:
        settings = {
            "server": {"max_calls": 2},
            "backends": {
                "tei": {"dialect": "simple", "url": vendor.url, **_SHAPE.settings}
            },
            "routes": {"default": {"backends": ["tei"]}},
        }
        async with running(settings) as gateway:
            calls = [
                # Each about something else: identical ones would share one call.
                asyncio.ensure_future(
                    gateway.stub.Rerank(rerank_request(count), timeout=9)
                )
                for count in (3, 4)
            ]
            await vendor.until(lambda: vendor.in_progress == 2)
            yield gateway
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)


async def test_one_call_too_many_is_refused_and_told_when_to_come_again(
    saturated: Running,
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await saturated.stub.Rerank(rerank_request(3), timeout=9)
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    status = rpc_status.from_call(raised.value)  # type: ignore[arg-type] # it knows no asyncio
    assert status
    info, again = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(again)
    assert (info.reason, dict(info.metadata)) == ("SERVER_OVERLOADED", {"limit": "2"})
    assert again.retry_delay.seconds == 1


async def test_operators_still_see_what_is_going_on(saturated: Running) -> None:
    health: Any = health_pb2_grpc.HealthStub(saturated.channel)
    checked = await health.Check(
        health_pb2.HealthCheckRequest(service="rerank.v1.RerankService")
    )
    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    backends = backend_service_pb2_grpc.BackendServiceStub(saturated.channel)
    listed = await backends.ListBackends(backend_service_pb2.ListBackendsRequest())
    assert [each.name for each in listed.backends] == ["tei"]
