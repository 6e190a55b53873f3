"""Whatever a backend does, callers get all of their documents back, and the truth."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson

from gateway.backends.dialects import DIALECTS
from rerank.v1 import execution_pb2, ranking_pb2, rerank_service_pb2
from tests.e2e.faults import (
    ALL_FAULTS,
    CANARY,
    ENDLESS_BYTES,
    Fault,
    Where,
    faults_of,
)
from tests.e2e.running import KEY, Running, place_of, rerank_request, running, text_of
from tests.e2e.shapes import ALL_SHAPES, SHAPES, Shape, normalised
from tests.e2e.vendor import Received, Vendor, hang, refusing_url
from tests.support.quillon import registered

pytestmark = pytest.mark.real_time

_COUNT = 5
_LOGITS = (-1.5, 2.25, 0.5, 4.0, -3.0)
_PROBABILITIES = (0.25, 0.75, 0.5, 0.875, 0.125)
_BEST_FIRST = [3, 1, 2, 0, 4]

_SECOND = SHAPES["simple"][0]


@dataclass(frozen=True, slots=True)
class Scene:
    """One gateway, and one vendor for each shape."""

    gateway: Running
    vendors: dict[str, Vendor]
    second: Vendor


@pytest.fixture(scope="module", autouse=True)
def with_the_invented_dialect() -> Iterator[None]:
    """Know it for as long as the gateway runs."""
    with registered():
        yield


@dataclass(frozen=True, slots=True)
class Vendors:
    """One for each shape, and one that always answers."""

    by_shape: dict[str, Vendor]
    second: Vendor
    refused: str
    """Where nobody listens."""


@pytest.fixture(scope="module")
async def vendors(with_the_invented_dialect: None) -> AsyncIterator[Vendors]:  # noqa: ARG001 - it comes first
    async with AsyncExitStack() as stack:
        refused = stack.enter_context(refusing_url())
        by_shape = {
            shape.name: await stack.enter_async_context(Vendor(hang, info=shape.info))
            for shape in ALL_SHAPES
        }
        second = await stack.enter_async_context(
            Vendor(_SECOND.scored(lambda text: place_of(text) / 10))
        )
        yield Vendors(by_shape, second, refused)


@pytest.fixture
async def scene(vendors: Vendors, shape: Shape) -> AsyncIterator[Scene]:
    """Start a gateway for one fault: what it learns of it would decide the next call."""
    url = vendors.by_shape[shape.name].url
    backends: dict[str, Any] = {
        "second": _backend(_SECOND, vendors.second.url),
        shape.name: _backend(shape, url),
        shape.name + Where.HASTY.value: {**_backend(shape, url), "timeout_s": 0.1},
        shape.name + Where.REFUSED.value: _backend(shape, vendors.refused),
    }
    routes: dict[str, Any] = {}
    for name in backends:
        routes[name] = {"backends": [name]}
        if name != "second":
            routes[f"{name}_then"] = {"backends": [name, "second"]}
    async with running({"backends": backends, "routes": routes}) as started:
        yield Scene(started, vendors.by_shape, vendors.second)


def _backend(shape: Shape, url: str) -> dict[str, Any]:
    return {
        "dialect": shape.dialect,
        "url": url,
        "api_key_env": "VENDOR_KEY",
        **shape.settings,
    }


def _raw(shape: Shape) -> tuple[float, ...]:
    return _LOGITS if shape.is_logit else _PROBABILITIES


def _ask(
    fault: Fault, shape: Shape, *, then: str = ""
) -> rerank_service_pb2.RerankRequest:
    request = rerank_request(_COUNT, route=shape.name + fault.where.value + then)
    if fault.timeout_s:
        request.timeout.CopyFrom(Duration(nanos=int(fault.timeout_s * 1e9)))
    return request


async def _play(fault: Fault, shape: Shape, vendor: Vendor) -> None:
    vendor.play = fault.play(shape)
    vendor.resets_at_accept = fault.resets_at_accept
    if fault.resets_at_accept:
        vendor.close_idle()
    vendor.received.clear()


def _reason(
    reason: execution_pb2.FallbackReason.ValueType,
) -> str:
    return execution_pb2.FallbackReason.Name(reason).removeprefix("FALLBACK_REASON_")


_CASES = [
    pytest.param(shape, fault, id=f"{shape.name}: {fault.name}")
    for shape in ALL_SHAPES
    for fault in faults_of(shape)
]


@pytest.mark.parametrize(("shape", "fault"), _CASES)
async def test_a_fault_keeps_the_callers_order_and_is_named(
    shape: Shape, fault: Fault, scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    vendor = scene.vendors[shape.name]
    await _play(fault, shape, vendor)
    request = _ask(fault, shape)

    call = scene.gateway.stub.Rerank(request, timeout=30)
    response = await call

    assert [result.id for result in response.results] == [
        document.id for document in request.documents
    ]
    for place, result in enumerate(response.results):
        assert result.index == place
        assert result.rank == result.original_rank == place + 1
        assert result.search_method == "rrf_hybrid"
        assert not result.HasField("rerank_score")
        assert not result.HasField("raw_score")
        assert result.score_kind == ranking_pb2.SCORE_KIND_RETRIEVAL
        assert result.score == result.retrieval_score == 1 / (61 + place)
    assert response.search_method == "rrf_hybrid"
    assert response.fallback_triggered
    assert f"fell back ({request.route}: {fault.reason} after" in response.message

    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    assert _reason(execution.fallback_reason) == fault.reason
    assert not execution.backend
    assert not execution.scored_count
    assert execution.unscored_indexes == list(range(_COUNT))
    assert execution.attempts
    assert {attempt.backend for attempt in execution.attempts} == {request.route}
    assert _reason(execution.attempts[-1].failure_reason) == fault.reason
    assert [stage.outcome for stage in execution.stages] == [
        execution_pb2.STAGE_OUTCOME_FAILED
    ]

    told = [
        response.SerializeToString().decode("latin-1"),
        MessageToJson(response),
        repr(await call.initial_metadata()),
        repr(await call.trailing_metadata()),
    ]
    for secret in (CANARY, KEY, text_of(0)):
        assert not [words for words in told if secret in words]
        assert secret not in caplog.text
    # Not vacuously: the failure was logged, and the backend did have the key.
    assert f"[{fault.reason}]" in caplog.text
    if not (fault.is_slow or fault.where is Where.REFUSED or fault.resets_at_accept):
        _assert_has_key(vendor.received[-1], shape)
    if "100 MB" in fault.name:
        await vendor.until(lambda: not vendor.in_progress)
        assert vendor.sent_bytes < ENDLESS_BYTES / 2


def _assert_has_key(received: Received, shape: Shape) -> None:
    for name, value in DIALECTS[shape.dialect].credentials(KEY).items():
        assert received.headers[name.lower()] == value
        assert KEY in value


@pytest.mark.parametrize("shape", ALL_SHAPES, ids=lambda shape: shape.name)
async def test_a_good_answer_reranks(shape: Shape, scene: Scene) -> None:
    vendor = scene.vendors[shape.name]
    vendor.play = shape.scored(lambda text: _raw(shape)[place_of(text)])
    vendor.resets_at_accept = False
    vendor.received.clear()

    response = await scene.gateway.stub.Rerank(
        rerank_request(_COUNT, route=shape.name), timeout=30
    )

    assert [result.index for result in response.results] == _BEST_FIRST
    for rank, result in enumerate(response.results, start=1):
        raw = _raw(shape)[result.index]
        assert result.id == f"doc-{result.index}"
        assert (result.rank, result.original_rank) == (rank, result.index + 1)
        assert result.raw_score == raw
        assert result.rerank_score == pytest.approx(normalised(raw, shape), rel=1e-12)
        assert result.score == result.rerank_score
        assert result.score_kind == ranking_pb2.SCORE_KIND_RERANK
        assert result.retrieval_score == 1 / (61 + result.index)
        assert result.search_method == "rrf_hybrid+rerank"
    assert response.search_method == "rrf_hybrid+rerank"
    assert not response.fallback_triggered
    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert execution.fallback_reason == execution_pb2.FALLBACK_REASON_UNSPECIFIED
    assert (execution.route, execution.backend) == (shape.name, shape.name)
    assert execution.scored_count == _COUNT
    assert not execution.unscored_indexes
    assert [(each.backend, each.failure_reason) for each in execution.attempts] == [
        (shape.name, execution_pb2.FALLBACK_REASON_UNSPECIFIED)
    ]

    (received,) = vendor.received
    assert received.path == DIALECTS[shape.dialect].path
    _assert_has_key(received, shape)
    assert received.headers["content-type"] == "application/json"
    assert shape.texts(received) == [text_of(place) for place in range(_COUNT)]


_SAMPLE = [
    fault
    for fault in ALL_FAULTS
    if fault.name
    in {
        "connection refused",
        "reset at accept",
        "closed in the body",
        "slow headers, longer than an attempt may take",
        "HTTP 401",
        "HTTP 413",
        "HTTP 429 with Retry-After",
        "HTTP 500",
        "HTML",
        "a score is null",
        "too few results",
        "100 MB of body",
    }
]


@pytest.mark.parametrize("shape", ALL_SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize("fault", _SAMPLE, ids=lambda fault: fault.name)
async def test_the_next_backend_answers_after_a_fault(
    shape: Shape, fault: Fault, scene: Scene
) -> None:
    await _play(fault, shape, scene.vendors[shape.name])
    first = shape.name + fault.where.value

    response = await scene.gateway.stub.Rerank(
        _ask(fault, shape, then="_then"), timeout=30
    )

    assert [result.index for result in response.results] == [4, 3, 2, 1, 0]
    assert response.search_method == "rrf_hybrid+rerank"
    assert response.fallback_triggered
    assert f"(second, after {first}: {fault.reason} after" in response.message
    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert execution.backend == "second"
    assert execution.fallback_reason == execution_pb2.FALLBACK_REASON_UNSPECIFIED
    *failed, answered = [
        (attempt.backend, _reason(attempt.failure_reason))
        for attempt in execution.attempts
    ]
    assert set(failed) == {(first, str(fault.reason))}
    assert answered == ("second", "UNSPECIFIED")
    (stage,) = execution.stages
    assert stage.outcome == execution_pb2.STAGE_OUTCOME_DEGRADED
    assert _reason(stage.reason) == fault.reason


def test_the_sample_is_complete() -> None:
    assert len(_SAMPLE) == 12


def test_every_dialect_has_a_shape() -> None:
    assert set(SHAPES) == set(DIALECTS)
    assert all(SHAPES.values())
