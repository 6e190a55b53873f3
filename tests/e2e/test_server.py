"""What every caller of the server may rely on, whatever its backends do."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_status import rpc_status

from rerank.v1 import (
    document_pb2,
    execution_pb2,
    options_pb2,
    rerank_service_pb2,
)
from tests.e2e.running import Running, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor, refusing_url, reply

pytestmark = pytest.mark.real_time

_SERVICE = "rerank.v1.RerankService"
_METHOD = f"/{_SERVICE}/Rerank"

_SHAPE = SHAPES["simple"][0]
_MAX_MESSAGE_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway whose routes are named for what becomes of them."""

    gateway: Running
    good: Vendor

    async def ask(
        self, request: rerank_service_pb2.RerankRequest
    ) -> rerank_service_pb2.RerankResponse:
        return await self.gateway.stub.Rerank(request, timeout=20)

    async def error(
        self, request: rerank_service_pb2.RerankRequest
    ) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.ask(request)
        return raised.value


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    refusal = {"Retry-After": "7"}
    with refusing_url() as down:
        async with (
            Vendor(_SHAPE.scored(lambda text: len(text) / 1000)) as good,
            Vendor(reply(503, b"", headers=refusal)) as busy,
            Vendor(reply(401, b"")) as locked,
        ):
            backends = {
                "good": _backend(good.url),
                "busy": _backend(busy.url),
                "locked": _backend(locked.url),
                "down": _backend(down),
                "keyless": {**_backend(good.url), "api_key_env": "NOT_SET_ANYWHERE"},
            }
            routes: dict[str, Any] = {name: {"backends": [name]} for name in backends}
            routes["default"] = {"backends": ["down"]}
            routes["keyless_then_good"] = {"backends": ["keyless", "good"]}
            settings = {
                "server": {"max_message_bytes": _MAX_MESSAGE_BYTES},
                "backends": backends,
                "routes": routes,
            }
            async with running(settings) as gateway:
                yield Scene(gateway, good)


def _backend(url: str) -> dict[str, Any]:
    return {"dialect": "simple", "url": url, **_SHAPE.settings}


def _details(error: grpc.aio.AioRpcError, *kinds: type[Message]) -> list[Message]:
    """Unpack the details of an error, which must be exactly of these kinds."""
    status = rpc_status.from_call(error)  # type: ignore[arg-type] # it knows no asyncio
    assert status
    assert status.code == error.code().value[0]
    assert status.message == error.details()
    assert len(status.details) == len(kinds)
    unpacked = []
    for packed, kind in zip(status.details, kinds, strict=True):
        detail = kind()
        assert packed.Unpack(detail), packed.type_url
        unpacked.append(detail)
    return unpacked


@pytest.mark.parametrize("service", ["", _SERVICE])
async def test_health_is_serving_while_every_backend_is_down(
    scene: Scene, service: str
) -> None:
    fallen = await scene.ask(rerank_request(3))
    assert fallen.execution.outcome == execution_pb2.OUTCOME_FELL_BACK

    stub: Any = health_pb2_grpc.HealthStub(scene.gateway.channel)
    health = await stub.Check(
        health_pb2.HealthCheckRequest(service=service), timeout=20
    )

    assert health.status == health_pb2.HealthCheckResponse.SERVING


async def test_health_does_not_know_services_that_are_not_served(scene: Scene) -> None:
    stub: Any = health_pb2_grpc.HealthStub(scene.gateway.channel)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.Check(
            health_pb2.HealthCheckRequest(service="rerank.v1.NoService"),
            timeout=20,
        )

    assert raised.value.code() == grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services_and_describes_them(scene: Scene) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(scene.gateway.channel)  # type: ignore[arg-type] # it knows no asyncio
    ask: Any = reflection_pb2.ServerReflectionRequest

    (listed,) = [
        answer
        async for answer in stub.ServerReflectionInfo(
            iter([ask(list_services="")]), timeout=20
        )
    ]
    services = {each.name for each in listed.list_services_response.service}
    assert services >= {_SERVICE, "grpc.health.v1.Health"}

    symbols = [*sorted(services), f"{_SERVICE}.Rerank", "rerank.v1.RerankResponse"]
    described = [
        answer
        async for answer in stub.ServerReflectionInfo(
            iter([ask(file_containing_symbol=symbol) for symbol in symbols]), timeout=20
        )
    ]
    assert len(described) == len(symbols)
    for answer in described:
        assert answer.file_descriptor_response.file_descriptor_proto


async def test_a_message_over_the_limit_is_refused(scene: Scene) -> None:
    request = rerank_request(1, instruction="x" * _MAX_MESSAGE_BYTES)

    error = await scene.error(request)

    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_an_unknown_method_is_unimplemented(scene: Scene) -> None:
    method: Any = scene.gateway.channel.unary_unary(f"/{_SERVICE}/Search")

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await method(b"", timeout=20)

    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


async def test_every_violation_of_a_request_is_told(scene: Scene) -> None:
    scene.good.received.clear()
    request = rerank_service_pb2.RerankRequest(
        query=" ",
        route="good",
        documents=[
            document_pb2.Document(id="twice", text="a", embedding=[1.0, 2.0]),
            document_pb2.Document(id="twice", text="b", embedding=[1.0]),
            document_pb2.Document(text="c", score=float("nan")),
        ],
        top_k=0,
        top_n=-1,
        min_score=1.5,
        search_method="rrf_hybrid+rerank",
        max_per_group=-2,
        labels={"Not A Key": "x"},
    )
    request.failure_policy = 77  # type: ignore[assignment]  # on purpose

    error = await scene.error(request)

    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    info, bad = _details(
        error, error_details_pb2.ErrorInfo, error_details_pb2.BadRequest
    )
    assert info == error_details_pb2.ErrorInfo(
        reason="INVALID_REQUEST",
        domain="rerank.v1",
        metadata={"field": "query", "violation_count": "11"},
    )
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert {each.field for each in bad.field_violations} == {
        "query",
        "documents[1].id",
        "documents[2].score",
        "documents[1].embedding",
        "top_k",
        "top_n",
        "max_per_group",
        "min_score",
        "search_method",
        "failure_policy",
        "labels",
    }
    assert len(bad.field_violations) == 11
    assert all(each.description for each in bad.field_violations)
    assert not scene.good.received


async def test_an_unknown_route_is_not_found(scene: Scene) -> None:
    error = await scene.error(rerank_request(1, route="nowhere"))

    assert error.code() == grpc.StatusCode.NOT_FOUND
    assert error.details() == "there is no route 'nowhere'"
    (info,) = _details(error, error_details_pb2.ErrorInfo)
    assert info == error_details_pb2.ErrorInfo(
        reason="ROUTE_NOT_FOUND", domain="rerank.v1", metadata={"route": "nowhere"}
    )


@pytest.mark.parametrize(
    ("route", "reason", "retry_s"),
    [("busy", "UNAVAILABLE", 7), ("down", "UNAVAILABLE", 1)],
)
async def test_who_wants_scores_or_nothing_is_told_when_to_try_again(
    scene: Scene, route: str, reason: str, retry_s: int
) -> None:
    error = await scene.error(
        rerank_request(3, route=route, failure_policy=options_pb2.FAILURE_POLICY_FAIL)
    )

    assert error.code() == grpc.StatusCode.UNAVAILABLE
    info, execution, retry = _details(
        error,
        error_details_pb2.ErrorInfo,
        execution_pb2.Execution,
        error_details_pb2.RetryInfo,
    )
    _assert_failed(info, execution, route, reason)
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.seconds == retry_s


@pytest.mark.parametrize(
    ("route", "reason"),
    [("locked", "UNAUTHENTICATED"), ("keyless", "MISCONFIGURED")],
)
async def test_who_wants_scores_or_nothing_is_told_that_trying_again_is_useless(
    scene: Scene, route: str, reason: str
) -> None:
    error = await scene.error(
        rerank_request(3, route=route, failure_policy=options_pb2.FAILURE_POLICY_FAIL)
    )

    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION
    info, execution = _details(
        error, error_details_pb2.ErrorInfo, execution_pb2.Execution
    )
    _assert_failed(info, execution, route, reason)


def _assert_failed(info: Message, execution: Message, route: str, reason: str) -> None:
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.reason == "RERANK_FAILED"
    assert dict(info.metadata) == {
        "route": route,
        "backend": route,
        "fallback_reason": reason,
    }
    assert isinstance(execution, execution_pb2.Execution)
    assert execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    wanted = execution_pb2.FallbackReason.Value(f"FALLBACK_REASON_{reason}")
    assert execution.fallback_reason == wanted
    assert [each.failure_reason for each in execution.attempts] == [wanted]


async def test_who_wants_scores_or_nothing_gets_scores_where_there_are_any(
    scene: Scene,
) -> None:
    response = await scene.ask(
        rerank_request(3, route="good", failure_policy=options_pb2.FAILURE_POLICY_FAIL)
    )

    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED


@pytest.mark.parametrize(
    "payload", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x06canary\xff"]
)
async def test_bytes_that_are_no_request_get_a_status_without_our_words(
    scene: Scene, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    method: Any = scene.gateway.channel.unary_unary(_METHOD)

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await method(payload, timeout=20)

    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    for leaked in ("DecodeError", "Error parsing", "Traceback", "class", "canary"):
        assert leaked not in (raised.value.details() or "")
        assert leaked not in (raised.value.debug_error_string() or "")
    assert "canary" not in caplog.text
    info, bad = _details(
        raised.value, error_details_pb2.ErrorInfo, error_details_pb2.BadRequest
    )
    assert isinstance(info, error_details_pb2.ErrorInfo)
    assert info.reason == "INVALID_REQUEST"
    assert isinstance(bad, error_details_pb2.BadRequest)
    assert [each.field for each in bad.field_violations] == ["request"]


async def test_bytes_that_are_no_request_of_a_stream_are_refused_too(
    scene: Scene,
) -> None:
    method: Any = scene.gateway.channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    )

    with pytest.raises(grpc.aio.AioRpcError) as raised:
        _ = [answer async for answer in method(iter([b"\xff\xff"]), timeout=20)]

    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_backend_without_its_key_is_passed_over(scene: Scene) -> None:
    response = await scene.ask(rerank_request(3, route="keyless_then_good"))

    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert execution.backend == "good"
    assert response.fallback_triggered
    assert [(each.backend, each.failure_reason) for each in execution.attempts] == [
        ("keyless", execution_pb2.FALLBACK_REASON_MISCONFIGURED),
        ("good", execution_pb2.FALLBACK_REASON_UNSPECIFIED),
    ]
    # Its address is known, but nobody asked there without the key.
    assert "authorization" not in scene.good.received[-1].headers


async def test_a_backend_without_its_key_alone_keeps_the_callers_order(
    scene: Scene,
) -> None:
    scene.good.received.clear()

    response = await scene.ask(rerank_request(3, route="keyless"))

    assert [result.index for result in response.results] == [0, 1, 2]
    assert response.execution.fallback_reason == (
        execution_pb2.FALLBACK_REASON_MISCONFIGURED
    )
    assert not scene.good.received


async def test_no_documents_are_nothing_to_score(scene: Scene) -> None:
    scene.good.received.clear()

    response = await scene.ask(rerank_request(0, route="good"))

    assert not response.results
    assert response.execution.outcome == execution_pb2.OUTCOME_NOTHING_TO_SCORE
    assert not response.fallback_triggered
    assert not scene.good.received
