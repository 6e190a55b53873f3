"""Callers with a deadline get an answer before it, also many at once."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.logs import EventLog
from rerank.v1 import execution_pb2
from tests.e2e.many_calls import many_calls
from tests.e2e.running import rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor, hang

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["llamacpp"]
_DOCUMENTS = 20

# A machine that does something else for a tenth of a second misses deadlines whatever a
# gateway does, so every answer has to be in time in one round of these.
_ROUNDS = 4


def _settings(
    url: str,
    *,
    server: Mapping[str, Any] | None = None,
    backend: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "server": server or {},
        "backends": {
            "slow": {
                "dialect": "llamacpp",
                "url": url,
                **_SHAPE.settings,
                **(backend or {}),
            }
        },
        "routes": {"default": {"backends": ["slow"]}},
    }


@pytest.mark.parametrize(
    ("calls", "timeout_s", "backend"),
    [
        pytest.param(
            200,
            1.0,
            {"max_in_flight": 60, "max_queued": 60},
            id="some are asked, some wait, some are refused",
        ),
        pytest.param(200, 1.0, {"max_in_flight": 200}, id="all are asked"),
        pytest.param(200, 1.0, {}, id="default settings"),
    ],
)
async def test_every_answer_is_there_before_its_deadline(
    calls: int,
    timeout_s: float,
    backend: Mapping[str, Any],
) -> None:
    before = asyncio.all_tasks()
    for _ in range(_ROUNDS):
        async with Vendor(hang) as vendor:
            settings = _settings(vendor.url, backend=backend)
            async with running(settings, emit=EventLog()) as gateway:
                ended = await many_calls(
                    gateway.address,
                    calls=calls,
                    documents=_DOCUMENTS,
                    timeout_s=timeout_s,
                )
                # Nothing goes on for callers who have their answer.
                await vendor.until(lambda: not vendor.in_progress)
                await vendor.until(lambda: not vendor.open_connections)

            assert len(ended) == calls
            assert vendor.abandoned == len(vendor.received)
            answered = [each for each in ended if each.code == "OK"]
            assert {each.indexes for each in answered} == {tuple(range(_DOCUMENTS))}
            reasons = {each.reason for each in answered}
        assert asyncio.all_tasks() <= before
        # Where some came late to the machine, the circuit is open by then, rightly.
        if len(answered) == calls and "CIRCUIT_OPEN" not in reasons:
            break
    assert reasons <= {"DEADLINE", "OVERLOADED"}
    if "max_queued" in backend:
        assert reasons == {"DEADLINE", "OVERLOADED"}
    assert {each.code for each in ended} == {"OK"}
    assert min(each.left_s for each in ended) > 0


async def test_less_time_than_the_reserve_is_not_given_to_a_backend() -> None:
    async with Vendor(hang) as vendor:
        settings = _settings(vendor.url, server={"reserve_least_s": 25})
        async with running(settings) as gateway:
            response = await gateway.stub.Rerank(rerank_request(3), timeout=20)

        assert [result.index for result in response.results] == [0, 1, 2]
        assert response.execution.outcome == execution_pb2.OUTCOME_FELL_BACK
        assert response.execution.fallback_reason == (
            execution_pb2.FALLBACK_REASON_DEADLINE
        )
        assert not vendor.received


async def test_a_slow_backend_leaves_time_for_the_next() -> None:
    async with Vendor(hang) as slow, Vendor(_SHAPE.scored(len)) as quick:
        settings = _settings(slow.url)
        settings["backends"]["quick"] = {
            **settings["backends"]["slow"],
            "url": quick.url,
        }
        settings["routes"]["default"]["backends"] = ["slow", "quick"]
        async with running(settings) as gateway:
            # Half of it is the turn of the first one.
            response = await gateway.stub.Rerank(rerank_request(3), timeout=2)

    execution = response.execution
    assert execution.backend == "quick"
    assert [each.failure_reason for each in execution.attempts] == [
        execution_pb2.FALLBACK_REASON_DEADLINE,
        execution_pb2.FALLBACK_REASON_UNSPECIFIED,
    ]


async def test_the_shortest_of_all_limits_holds() -> None:
    async with Vendor(hang) as vendor:
        settings = _settings(vendor.url, backend={"timeout_s": 20})
        settings["routes"]["default"]["timeout_s"] = 20
        settings["routes"]["hasty"] = {"backends": ["slow"], "timeout_s": 0.05}
        async with running(settings) as gateway:
            by_route = await gateway.stub.Rerank(
                rerank_request(3, route="hasty"), timeout=30
            )
            by_request = await gateway.stub.Rerank(
                rerank_request(3, timeout=Duration(nanos=50_000_000)), timeout=30
            )

    for response in (by_route, by_request):
        assert response.execution.fallback_reason == (
            execution_pb2.FALLBACK_REASON_DEADLINE
        )
