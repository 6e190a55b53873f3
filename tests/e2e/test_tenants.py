"""What callers see who may use no more, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.tenants.ledger import Calendar
from gateway.tenants.ledger_lines import read_ledger
from rerank.v1 import (
    document_pb2,
    execution_pb2,
    options_pb2,
    rerank_service_pb2,
    search_service_pb2,
)
from tests.e2e.running import Running, rerank_request, running
from tests.e2e.subprocesses import command
from tests.support.billing import Billing
from tests.support.identities import credentials_of, keys_of, shown_by
from tests.support.wire import calling

pytestmark = pytest.mark.real_time

ACME = shown_by("acme")
RATE_LIMITED = execution_pb2.FALLBACK_REASON_RATE_LIMITED
FELL_BACK = execution_pb2.OUTCOME_FELL_BACK
RERANKED = execution_pb2.OUTCOME_RERANKED


@asynccontextmanager
async def served(
    folder: Path,
    acme: Mapping[str, Any],
    *,
    backend: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    **more: Any,
) -> AsyncIterator[tuple[Running, Billing]]:
    async with Billing("cohere-v2") as vendor:
        settings = {
            "backends": {
                "cohere": {
                    "dialect": "cohere-v2",
                    "model": "rerank-v3.5",
                    "url": vendor.url,
                    "price": {"per_1000_search_units": 2},
                    **(backend or {}),
                }
            },
            "routes": {"default": {"backends": ["cohere"]}},
            "tenants": {"acme": acme},
            "identity": keys_of("acme", "other"),
            "ledger": {"path": folder / "ledger.sqlite"},
            **more,
        }
        async with running(settings, environ=environ) as started:
            yield started, vendor


def details(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    """Unpack what comes with a status, by the name of its kind."""
    found: dict[str, Any] = {}
    for key, value in error.trailing_metadata() or ():
        if key != "grpc-status-details-bin":
            continue
        for each in status_pb2.Status.FromString(value).details:
            for kind in (
                error_details_pb2.ErrorInfo,
                error_details_pb2.RetryInfo,
                execution_pb2.Execution,
            ):
                message = kind()
                if each.Unpack(message):
                    found[kind.DESCRIPTOR.name] = message
    return found


async def test_beyond_its_rate_a_tenant_keeps_its_order_and_is_told_so(
    tmp_path: Path,
) -> None:
    acme = {"requests_per_s": 0.001, "requests_burst": 1}
    async with served(tmp_path, acme) as (gateway, vendor):
        ask = gateway.stub.Rerank
        assert (
            await ask(rerank_request(3), metadata=ACME)
        ).execution.outcome == RERANKED
        refused = await ask(rerank_request(4), metadata=ACME)
        assert refused.execution.outcome == FELL_BACK
        assert refused.execution.fallback_reason == RATE_LIMITED
        assert [each.index for each in refused.results] == [0, 1, 2, 3]
        assert refused.message == (
            "RRF only: reranking fell back (no more than 0.001 requests_per_s)"
        )
        other = await ask(rerank_request(4), metadata=shown_by("other"))
        assert other.execution.outcome == RERANKED
        assert len(vendor.received) == 2


async def test_who_wants_no_fallback_is_told_what_is_used_up_and_when_to_come(
    tmp_path: Path,
) -> None:
    acme = {"daily": {"cohere": {"search_units": 1}}}
    fail = options_pb2.FAILURE_POLICY_FAIL
    async with served(tmp_path, acme) as (gateway, vendor):
        await gateway.stub.Rerank(rerank_request(3), metadata=ACME)
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await gateway.stub.Rerank(
                rerank_request(4, failure_policy=fail), metadata=ACME
            )
        assert len(vendor.received) == 1
    assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    said = details(raised.value)
    assert said["ErrorInfo"].reason == "QUOTA_EXCEEDED"
    assert dict(said["ErrorInfo"].metadata) == {
        "quota": "daily.cohere.search_units",
        "limit": "1",
    }
    left_s = said["RetryInfo"].retry_delay.ToTimedelta().total_seconds()
    assert left_s == pytest.approx(Calendar().left_s(), abs=60)
    assert said["Execution"].fallback_reason == RATE_LIMITED


async def test_an_answer_that_is_remembered_whole_counts_against_the_rate_too(
    tmp_path: Path,
) -> None:
    acme = {"requests_per_s": 0.001, "requests_burst": 4}
    memory = {"RERANK_GATEWAY__CACHE__MAX_BYTES": "1000000"}
    async with served(tmp_path, acme, environ=memory) as (gateway, vendor):
        outcomes = [
            (
                await gateway.stub.Rerank(rerank_request(3), metadata=ACME)
            ).execution.outcome
            for _ in range(6)
        ]
        assert outcomes == [RERANKED] * 4 + [FELL_BACK] * 2
        assert len(vendor.received) == 1
        again = await gateway.stub.Rerank(rerank_request(3), metadata=shown_by("other"))
        # Each tenant has its own rate, and remembers for itself.
        assert again.execution.outcome == RERANKED
        assert again.execution.cached_count == 0
    lines = read_ledger(tmp_path / "ledger.sqlite", day=Calendar().today(), tenant=None)
    saved = {each.account.tenant: each.saved.calls for each in lines}
    assert saved == {"acme": 3, "other": 0}


async def test_a_batch_is_counted_request_by_request(tmp_path: Path) -> None:
    acme = {"requests_per_s": 0.001, "requests_burst": 2}
    async with served(tmp_path, acme) as (gateway, vendor):
        stream = gateway.stub.RerankBatch(
            iter(
                rerank_service_pb2.RerankBatchRequest(
                    request_id=str(place), request=rerank_request(3 + place)
                )
                for place in range(5)
            ),
            metadata=ACME,
        )
        outcomes = [each.response.execution.outcome async for each in stream]
        assert sorted(outcomes) == sorted([RERANKED] * 2 + [FELL_BACK] * 3)
        assert len(vendor.received) == 2


async def test_a_search_is_answered_in_the_order_of_retrieval(tmp_path: Path) -> None:
    acme = {"daily_budget": 0}
    retrieval = {"engine": "embedded", "path": tmp_path / "store"}
    embedder = {"price": {"per_1000_calls": 0}}
    async with (
        served(tmp_path, acme, retrieval=retrieval, embedder=embedder) as (
            gateway,
            vendor,
        ),
        grpc.aio.secure_channel(gateway.address, credentials_of("acme")) as channel,
    ):
        caller = calling(channel)
        await caller.create("papers")
        await caller.load(
            "papers",
            [
                document_pb2.Document(id=each, text=f"{each} is warm bread")
                for each in "abc"
            ],
        )
        search = gateway.channel.unary_unary(
            "/rerank.v1.SearchService/Search",
            request_serializer=search_service_pb2.SearchRequest.SerializeToString,
            response_deserializer=search_service_pb2.SearchResponse.FromString,
        )
        request = search_service_pb2.SearchRequest(
            query="warm bread", collection="papers"
        )
        found = await search(request, metadata=ACME)
        assert len(found.results) == 3
        assert found.search_method == "rrf_hybrid"
        assert found.fallback_triggered
        assert found.execution.fallback_reason == RATE_LIMITED
        assert not vendor.received
        request.failure_policy = options_pb2.FAILURE_POLICY_FAIL
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await search(request, metadata=ACME)
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_of_many_at_once_no_more_reach_the_backend_than_are_paid_for(
    tmp_path: Path,
) -> None:
    acme = {"daily": {"cohere": {"calls": 7}}}
    async with served(tmp_path, acme) as (gateway, vendor):
        vendor.delay_s = 0.05
        answers = await asyncio.gather(
            *(
                gateway.stub.Rerank(rerank_request(1 + place), metadata=ACME)
                for place in range(30)
            )
        )
        outcomes = [each.execution.outcome for each in answers]
        assert outcomes.count(RERANKED) == len(vendor.received) == 7


async def test_whoever_is_nobody_has_the_limits_of_the_anonymous(
    tmp_path: Path,
) -> None:
    tenants = {"anonymous": {"requests_per_s": 0.001, "requests_burst": 1}}
    async with served(tmp_path, {}, tenants=tenants, identity={}) as (gateway, vendor):
        for _ in range(2):
            answer = await gateway.stub.Rerank(rerank_request(3))
        assert answer.execution.fallback_reason == RATE_LIMITED
        assert len(vendor.received) == 1
    used = await command(
        *("usage", "--json", "--tenant", "anonymous"),
        environ={"RERANK_GATEWAY__LEDGER__PATH": str(tmp_path / "ledger.sqlite")},
    )
    assert '"tenant": "anonymous"' in used.out


async def test_without_tenants_there_is_no_file(tmp_path: Path) -> None:
    async with served(tmp_path, {}, tenants={}, identity={}) as (gateway, _):
        await gateway.stub.Rerank(rerank_request(3))
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - two names


async def test_a_ledger_that_cannot_be_opened_is_no_start(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    started = await command(
        "serve",
        environ={
            "RERANK_GATEWAY__LEDGER__PATH": str(tmp_path / "ledger.sqlite"),
            "RERANK_GATEWAY__TENANTS__ACME__DAILY_CALLS": "1",
        },
    )
    assert (started.code, started.err) == (
        2,
        "tenants.acme.daily_calls: there is no such setting\n",
    )
    started = await command(
        *("serve", "--address", "127.0.0.1:0"),
        environ={
            "RERANK_GATEWAY__LEDGER__PATH": str(tmp_path / "ledger.sqlite"),
            "RERANK_GATEWAY__TENANTS__ACME__REQUESTS_PER_S": "1",
        },
    )
    assert started.code == 1
    assert "ledger.sqlite: unable to open database file" in started.err


async def test_usage_of_no_ledger_is_one_line(tmp_path: Path) -> None:
    place = {"RERANK_GATEWAY__LEDGER__PATH": str(tmp_path / "none.sqlite")}
    asked = await command("usage", environ=place)
    assert asked.code == 1
    assert asked.err.count("\n") == 1
    assert "there is no ledger yet" in asked.err
    wrong = await command("usage", "--day", "yesterday", environ=place)
    assert wrong.code == 2
    assert "is not a day such as 2026-11-27" in wrong.err
