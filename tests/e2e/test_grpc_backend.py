"""A backend that speaks gRPC: whatever it does, callers get all documents, and the truth."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToJson

from gateway.backends.dialects import GRPC_DIALECTS
from gateway.backends.errors import FailureReason
from gateway.events import CircuitChanged, Event, FactsLearned, Hedged
from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    execution_pb2,
)
from tei.v1 import tei_pb2
from tests.e2e.running import KEY, Running, place_of, rerank_request, running, text_of
from tests.e2e.subprocesses import command
from tests.e2e.vendor import refusing_url
from tests.support.tei_server import (
    Asked,
    Play,
    TeiServer,
    answer,
    hang,
    refuses,
    says,
    scored,
)

pytestmark = pytest.mark.real_time

CANARY = "canary-7e21"
"""In everything that a failing server says; it must go no further."""

_COUNT = 5
_LOGITS = (-1.5, 2.25, 0.5, 4.0, -3.0)
_BEST_FIRST = [3, 1, 2, 0, 4]
_GOOD = scored(lambda text: _LOGITS[place_of(text)])
_BY_PLACE = scored(lambda text: float(place_of(text)))
_INFO = tei_pb2.InfoResponse(
    model_id="BAAI/bge-reranker-base",
    model_type=tei_pb2.MODEL_TYPE_RERANKER,
    max_client_batch_size=32,
)


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway in front of one server, or of several equal ones."""

    gateway: Running
    servers: list[TeiServer]
    events: list[Event]

    @property
    def server(self) -> TeiServer:
        return self.servers[0]

    async def rerank(self, count: int = _COUNT, **more: Any) -> Any:
        return await self.gateway.stub.Rerank(rerank_request(count, **more), timeout=30)


@asynccontextmanager
async def scene(
    *plays: Play,
    info: tei_pb2.InfoResponse | None = _INFO,
    then: bool = False,
    **backend: Any,
) -> AsyncIterator[Scene]:
    """Run a gateway.

    Args:
        plays: One server each.
        info: What they tell about themselves.
        then: The built-in model answers where they do not.
        backend: Settings of the backend.

    """
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(TeiServer(play, info=info, key=KEY))
            for play in plays
        ]
        urls: dict[str, Any] = (
            {"urls": [server.url for server in servers]}
            if len(servers) > 1
            else {"url": servers[0].url}
        )
        one = {"dialect": "tei-grpc", "api_key_env": "VENDOR_KEY", **urls, **backend}
        settings: dict[str, Any] = {
            "backends": {"tei": one},
            "routes": {"default": {"backends": ["tei", "local"] if then else ["tei"]}},
        }
        gateway = await stack.enter_async_context(running(settings, emit=events.append))
        yield Scene(gateway, servers, events)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of several things, none tells of itself
            await asyncio.sleep(0.01)


async def test_a_good_answer_reranks() -> None:
    async with scene(_GOOD) as of:
        await _until(lambda: any(isinstance(each, FactsLearned) for each in of.events))
        response = await of.rerank()
    assert [result.index for result in response.results] == _BEST_FIRST
    for result in response.results:
        raw = _LOGITS[result.index]
        assert result.raw_score == raw
        assert result.rerank_score == pytest.approx(1 / (1 + math.exp(-raw)), rel=1e-12)
        assert result.search_method == "rrf_hybrid+rerank"
    assert not response.fallback_triggered
    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert (execution.backend, execution.model) == ("tei", "BAAI/bge-reranker-base")
    (asked,) = of.server.received
    assert list(asked.request.texts) == [text_of(place) for place in range(_COUNT)]
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert of.server.infos[0]["authorization"] == f"Bearer {KEY}"


async def test_its_own_bound_is_learned_and_heeded() -> None:
    info = tei_pb2.InfoResponse(model_id="bge", max_client_batch_size=2)
    async with scene(_GOOD, info=info) as of:
        await _until(lambda: any(isinstance(each, FactsLearned) for each in of.events))
        response = await of.rerank()
    assert [result.index for result in response.results] == _BEST_FIRST
    assert sorted(len(each.request.texts) for each in of.server.received) == [1, 2, 2]


async def test_a_bound_that_it_names_in_refusing_is_heeded() -> None:
    async def takes_two(asked: Asked) -> bytes:
        if (count := len(asked.request.texts)) > 2:
            words = f"batch size {count} > maximum allowed batch size 2"
            return await asked.refuse("INVALID_ARGUMENT", words)
        return await _GOOD(asked)

    async with scene(takes_two, info=None) as of:
        response = await of.rerank()
    assert [result.index for result in response.results] == _BEST_FIRST


# Faults


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to fail, and what it is called."""

    name: str
    reason: FailureReason
    play: Play
    timeout_s: float | None = None
    """What the caller allows."""
    backend: tuple[tuple[str, Any], ...] = ()
    """Settings of the backend."""


def _saying(status: str, reason: FailureReason, words: str = "") -> Fault:
    async def play(asked: Asked) -> bytes:
        said = f"{words}{CANARY} {' '.join(asked.headers.values())} {asked.request}"
        await asked.context.send_initial_metadata([("x-said", CANARY)])
        asked.context.set_trailing_metadata([("x-said", CANARY)])
        return await asked.refuse(status, said)

    return Fault(f"{status} {words}".strip(), reason, play)


def _malformed(name: str, message: bytes) -> Fault:
    return Fault(name, FailureReason.MALFORMED, says(message))


def _scores(*scores: float) -> bytes:
    return answer(*enumerate(scores))


_FAULTS = [
    _saying("CANCELLED", FailureReason.UNAVAILABLE),
    _saying("UNKNOWN", FailureReason.UNAVAILABLE),
    _saying("INVALID_ARGUMENT", FailureReason.REJECTED),
    _saying(
        "INVALID_ARGUMENT",
        FailureReason.TOO_LARGE,
        "`inputs` must have less than 512 tokens. Given: 534",
    ),
    _saying("DEADLINE_EXCEEDED", FailureReason.TIMEOUT),
    _saying("NOT_FOUND", FailureReason.UNAVAILABLE),
    _saying("ALREADY_EXISTS", FailureReason.REJECTED),
    _saying("PERMISSION_DENIED", FailureReason.UNAUTHENTICATED),
    _saying("RESOURCE_EXHAUSTED", FailureReason.RATE_LIMITED),
    _saying("FAILED_PRECONDITION", FailureReason.UNAVAILABLE),
    _saying("ABORTED", FailureReason.UNAVAILABLE),
    _saying("OUT_OF_RANGE", FailureReason.REJECTED),
    _saying("UNIMPLEMENTED", FailureReason.UNAVAILABLE),
    _saying("INTERNAL", FailureReason.UNAVAILABLE),
    _saying("UNAVAILABLE", FailureReason.UNAVAILABLE),
    _saying("DATA_LOSS", FailureReason.UNAVAILABLE),
    _saying("UNAUTHENTICATED", FailureReason.UNAUTHENTICATED),
    Fault(
        "no answer, longer than an attempt may take",
        FailureReason.TIMEOUT,
        hang,
        backend=(("timeout_s", 0.1),),
    ),
    Fault(
        "no answer, longer than the caller allows",
        FailureReason.DEADLINE,
        hang,
        timeout_s=0.2,
    ),
    _malformed("an empty message", b""),
    _malformed("no message", CANARY.encode()),
    _malformed("half a message", _scores(*_LOGITS)[:-3]),
    _malformed("100 MB", CANARY.encode() * 10_000_000),
    _malformed("a score is NaN", _scores(1, 2, math.nan, 4, 5)),
    _malformed("a score is Infinity", _scores(1, 2, math.inf, 4, 5)),
    _malformed("a score is -Infinity", _scores(1, 2, -math.inf, 4, 5)),
    _malformed("too few results", _scores(1, 2, 3, 4)),
    _malformed("too many results", _scores(1, 2, 3, 4, 5, 6)),
    _malformed("duplicate index", answer((0, 1), (1, 1), (1, 1), (3, 1), (4, 1))),
    _malformed("indexes that begin with 1", answer(*((n, 1.0) for n in range(1, 6)))),
    _malformed("results that say nothing", answer(*[(0, 0.0)] * 5)),
]


@pytest.mark.parametrize("fault", _FAULTS, ids=lambda fault: fault.name)
async def test_a_fault_keeps_the_callers_order_and_is_named(
    fault: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    request = rerank_request(_COUNT)
    if fault.timeout_s:
        request.timeout.CopyFrom(Duration(nanos=int(fault.timeout_s * 1e9)))
    async with scene(fault.play, **dict(fault.backend)) as of:
        call = of.gateway.stub.Rerank(request, timeout=30)
        response = await call
        told = [
            response.SerializeToString().decode("latin-1"),
            MessageToJson(response),
            repr(await call.initial_metadata()),
            repr(await call.trailing_metadata()),
            caplog.text,
            repr(of.events),
        ]
    assert [result.index for result in response.results] == list(range(_COUNT))
    for result in response.results:
        assert result.search_method == "rrf_hybrid"
        assert not result.HasField("rerank_score")
    assert response.search_method == "rrf_hybrid"
    assert response.fallback_triggered
    assert f"fell back (tei: {fault.reason} after" in response.message
    execution = response.execution
    assert execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    assert {
        execution_pb2.FallbackReason.Name(reason)
        for reason in (
            execution.fallback_reason,
            execution.attempts[-1].failure_reason,
        )
    } == {f"FALLBACK_REASON_{fault.reason}"}
    for secret in (CANARY, KEY, text_of(0)):
        assert not [words for words in told if secret in words]
    # Not vacuously: it was asked, and knew the key.
    assert of.server.received[-1].headers["authorization"] == f"Bearer {KEY}"


async def test_nobody_listens_and_the_next_backend_answers() -> None:
    with refusing_url() as url:
        address = url.replace("http", "grpc")
        async with scene(_GOOD, then=True, url=address) as of:
            response = await of.rerank()
    assert response.execution.backend == "local"
    assert "tei: UNAVAILABLE after" in response.message


# Who leaves, and when


async def test_a_cancelled_call_is_cancelled_at_the_backend() -> None:
    async with scene(hang) as of:
        call = of.gateway.stub.Rerank(rerank_request(_COUNT))
        await of.server.until(lambda: of.server.in_progress == 1)
        call.cancel()
        await of.server.until(lambda: of.server.abandoned == 1)
        assert not of.server.in_progress


async def test_every_chunk_of_a_cancelled_call_is_cancelled() -> None:
    async with scene(hang, max_documents=2) as of:
        call = of.gateway.stub.Rerank(rerank_request(_COUNT))
        await of.server.until(lambda: of.server.in_progress == 3)
        call.cancel()
        await of.server.until(lambda: of.server.abandoned == 3)


async def test_the_backend_knows_how_long_its_caller_waits() -> None:
    async with scene(_GOOD) as of:
        await of.gateway.stub.Rerank(rerank_request(_COUNT), timeout=4)
    (asked,) = of.server.received
    assert asked.remaining_s is not None
    assert 2.0 < asked.remaining_s < 4.3


async def test_no_more_calls_are_made_at_once_than_are_allowed() -> None:
    most = 0
    opened = asyncio.Event()

    async def play(asked: Asked) -> bytes:
        nonlocal most
        most = max(most, of.server.in_progress)
        await opened.wait()
        return await _GOOD(asked)

    async with scene(play, max_in_flight=2) as of:
        calls = [
            asyncio.ensure_future(of.rerank(query=f"question {number}"))
            for number in range(6)
        ]
        await of.server.until(lambda: of.server.in_progress == 2)
        opened.set()
        await asyncio.gather(*calls)
    assert most == 2
    assert len(of.server.received) == 6


# Several servers, retries, hedges, circuits


async def test_the_second_of_two_servers_answers_for_the_first() -> None:
    async with scene(refuses("UNAVAILABLE"), _BY_PLACE, retries=1) as of:
        for number in range(4):
            response = await of.rerank(query=f"question {number}")
            assert [each.index for each in response.results] == [4, 3, 2, 1, 0]
    assert of.servers[1].received


async def test_a_slow_call_is_hedged_and_the_slower_one_cancelled() -> None:
    plays = iter([hang, _BY_PLACE])

    async def play(asked: Asked) -> bytes:
        return await next(plays)(asked)

    async with scene(play, play, hedge_after_s=0.1) as of:
        response = await of.rerank()
        assert [each.index for each in response.results] == [4, 3, 2, 1, 0]
        await _until(lambda: sum(each.abandoned for each in of.servers) == 1)
        assert [len(each.received) for each in of.servers] == [1, 1]
    assert [each.won for each in of.events if isinstance(each, Hedged)] == [True]


async def test_a_circuit_opens_and_lets_a_call_through_to_see() -> None:
    async with scene(refuses("UNAVAILABLE"), failures_in_a_row=2, cooldown_s=0.3) as of:
        for number in range(3):
            await of.rerank(query=f"question {number}")
        assert len(of.server.received) == 2
        of.server.play = _GOOD
        await asyncio.sleep(0.5)
        response = await of.rerank(query="and now")
        assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    states = [each.state for each in of.events if isinstance(each, CircuitChanged)]
    assert states == ["OPEN", "HALF_OPEN", "CLOSED"]


async def test_a_server_that_was_away_is_found_again_by_the_circuit() -> None:
    async with scene(_GOOD, failures_in_a_row=2, cooldown_s=0.3) as of:
        await of.server.stop()
        for number in range(3):
            await of.rerank(query=f"question {number}")
        async with TeiServer(_GOOD, info=_INFO, port=of.server.port) as back:
            outcome = execution_pb2.OUTCOME_FELL_BACK
            async with asyncio.timeout(20):
                while outcome != execution_pb2.OUTCOME_RERANKED:
                    response = await of.rerank(query="and now")
                    outcome = response.execution.outcome
                    await asyncio.sleep(0.1)
            assert back.received


# What operators see


def _panda(texts: str) -> float:
    return 5.26 if "panda" in texts else -8.19


async def _check(play: Play) -> backend_service_pb2.CheckBackendResponse:
    async with (
        scene(play) as of,
        grpc.aio.insecure_channel(of.gateway.address) as channel,
    ):
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        return await stub.CheckBackend(
            backend_service_pb2.CheckBackendRequest(name="tei"), timeout=30
        )


@pytest.mark.parametrize(
    ("play", "state"),
    [
        (scored(_panda), backend_pb2.BACKEND_STATE_READY),
        (
            refuses("FAILED_PRECONDITION", "model is not a re-ranker model"),
            backend_pb2.BACKEND_STATE_MISCONFIGURED,
        ),
        (refuses("UNIMPLEMENTED"), backend_pb2.BACKEND_STATE_MISCONFIGURED),
        (refuses("UNAUTHENTICATED"), backend_pb2.BACKEND_STATE_MISCONFIGURED),
        (refuses("UNAVAILABLE"), backend_pb2.BACKEND_STATE_UNREACHABLE),
        (says(b""), backend_pb2.BACKEND_STATE_DEGRADED),
    ],
)
async def test_a_probe_says_whether_it_works(
    play: Play, state: backend_pb2.BackendState.ValueType
) -> None:
    found = await _check(play)
    assert found.state == state
    assert found.available is (state == backend_pb2.BACKEND_STATE_READY)


async def test_the_command_asks_it_from_one_variable() -> None:
    async with TeiServer(scored(_panda), info=_INFO) as server:
        finished = await command(
            "backends", environ={"RERANK_GATEWAY_BACKEND": f"tei-grpc+{server.url}"}
        )
    (line,) = (each for each in finished.out.splitlines() if "tei_grpc" in each)
    assert "tei-grpc" in line
    assert "logit" in line
    assert "READY" in line
    assert not finished.code


def test_it_is_the_only_dialect_of_its_kind() -> None:
    assert set(GRPC_DIALECTS) == {"tei-grpc"}
