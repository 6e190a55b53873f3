"""Several processes, and several gateways, count in one ledger."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.tenants.ledger import Calendar, Line
from gateway.tenants.ledger_lines import read_ledger
from gateway.tenants.redis_reading import read_shared_ledger
from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    execution_pb2,
    rerank_service_pb2_grpc,
)
from tests.e2e.running import _variables, rerank_request, running
from tests.e2e.subprocesses import command, serving
from tests.support.billing import Billing
from tests.support.redis_server import a_redis

pytestmark = pytest.mark.real_time

RERANKED = execution_pb2.OUTCOME_RERANKED


def settings(
    vendor: Billing, ledger: Mapping[str, Any], *, calls: int
) -> dict[str, Any]:
    return {
        "backends": {
            "cohere": {
                "dialect": "cohere-v2",
                "model": "rerank-v3.5",
                "url": vendor.url,
            }
        },
        "routes": {"default": {"backends": ["cohere"]}},
        "tenants": {"anonymous": {"daily": {"cohere": {"calls": calls}}}},
        "ledger": ledger,
    }


@asynccontextmanager
async def callers(*addresses: str) -> AsyncIterator[list[Any]]:
    """Open a connection for each."""
    async with AsyncExitStack() as parts:
        yield [
            rerank_service_pb2_grpc.RerankServiceStub(
                await parts.enter_async_context(
                    grpc.aio.insecure_channel(
                        address, options=[("grpc.use_local_subchannel_pool", 1)]
                    )
                )
            )
            for address in addresses
        ]


async def outcomes(stubs: list[Any], count: int) -> list[int]:
    answers = await asyncio.gather(
        *(
            stubs[place % len(stubs)].Rerank(
                rerank_request(3, query=f"asked {place}"), timeout=30
            )
            for place in range(count)
        )
    )
    return [each.execution.outcome for each in answers]


def total_calls(lines: list[Line]) -> int:
    assert not any(each.reserved.calls for each in lines)
    return sum(each.spent.calls for each in lines)


async def test_workers_of_one_gateway_count_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Billing("cohere-v2") as vendor:
        environ = dict(_variables(settings(vendor, {"path": path}, calls=9)))
        async with (
            serving("--workers", "2", environ=environ) as served,
            callers(*[served.address] * 8) as stubs,
        ):
            found = await outcomes(stubs, 40)
            assert found.count(RERANKED) == len(vendor.received) == 9
    day = Calendar().today()
    assert total_calls(read_ledger(path, day=day, tenant=None)) == 9


async def test_gateways_count_in_one_redis(tmp_path: Path) -> None:
    with a_redis(tmp_path) as server:
        async with Billing("cohere-v2") as vendor:
            said = settings(vendor, {"url": server.url, "timeout_s": 5}, calls=9)
            async with running(said) as one, running(said) as other:
                found = await outcomes([one.stub, other.stub], 40)
                assert found.count(RERANKED) == len(vendor.received) == 9
            day = Calendar().today()
            lines = await read_shared_ledger(
                server.url, timeout_s=5, day=day, tenant=None
            )
            assert total_calls(lines) == 9
            shown = await command("usage", environ=dict(_variables(said)))
            assert "anonymous" in shown.out
            assert "9 calls have no price" in shown.out


async def test_while_the_shared_ledger_is_away_no_backend_is_asked(
    tmp_path: Path,
) -> None:
    with a_redis(tmp_path) as server:
        async with Billing("cohere-v2") as vendor:
            said = settings(vendor, {"url": server.url}, calls=9)
            async with running(said) as gateway:
                server.kill()
                answer = await gateway.stub.Rerank(rerank_request(3))
                assert answer.execution.outcome == execution_pb2.OUTCOME_FELL_BACK
                assert (
                    answer.execution.fallback_reason
                    == execution_pb2.FALLBACK_REASON_UNAVAILABLE
                )
                assert not vendor.received
                server.start()
                again = await gateway.stub.Rerank(rerank_request(3))
                assert again.execution.outcome == RERANKED


async def test_to_look_whether_a_backend_works_is_on_the_gateways_own_account(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite"
    async with Billing("cohere-v2") as vendor:
        async with running(settings(vendor, {"path": path}, calls=0)) as gateway:
            stub: Any = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
            await stub.CheckBackend(
                backend_service_pb2.CheckBackendRequest(name="cohere")
            )
        assert len(vendor.received) >= 1
        (line,) = read_ledger(path, day=Calendar().today(), tenant=None)
        assert line.account.tenant == "(gateway)"
        assert line.spent.calls == len(vendor.received)
