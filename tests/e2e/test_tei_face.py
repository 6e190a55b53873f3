"""The gateway as a text-embeddings-inference over gRPC, for callers with its own stubs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.events import CallEnded, Event, FactsLearned
from gateway.ranking.normalize import sigmoid
from rerank.v1 import execution_pb2
from tei.v1 import tei_pb2, tei_pb2_grpc
from tests.e2e.running import Running, place_of, rerank_request, running, text_of
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Play, Vendor, hang, reply
from tests.support.wire import refused, violations

pytestmark = pytest.mark.real_time

Ask = tei_pb2.RerankRequest
Piece = tei_pb2.RerankStreamRequest

_PATIENCE_S = 30.0
_QUERY = "How do I restore a backup?"
(_SHAPE,) = SHAPES["llamacpp"]
_LOGITS = (-1.5, 2.25, 0.5)
_GOOD = _SHAPE.scored(lambda text: _LOGITS[place_of(text)])
_BEST_FIRST = [1, 2, 0]
_FAILS = reply(503, b"")
_LEFT = tei_pb2.TRUNCATION_DIRECTION_LEFT


@dataclass(frozen=True, slots=True)
class Scene:
    """A gateway in front of some vendors, and what it told."""

    gateway: Running
    vendors: Sequence[Vendor]
    events: list[Event]

    def rerank(self, request: Ask, **more: Any) -> Any:
        stub: Any = tei_pb2_grpc.RerankStub(self.gateway.channel)
        return stub.Rerank(request, timeout=_PATIENCE_S, **more)

    def stream(self, pieces: Sequence[Piece], **more: Any) -> Any:
        stub: Any = tei_pb2_grpc.RerankStub(self.gateway.channel)
        return stub.RerankStream(iter(pieces), timeout=_PATIENCE_S, **more)

    async def info(self, **more: Any) -> tei_pb2.InfoResponse:
        stub: Any = tei_pb2_grpc.InfoStub(self.gateway.channel)
        told: tei_pb2.InfoResponse = await stub.Info(tei_pb2.InfoRequest(), **more)
        return told

    async def error(self, call: Any) -> grpc.aio.AioRpcError:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call
        return raised.value


@asynccontextmanager
async def scene(*plays: Play, **server: Any) -> AsyncIterator[Scene]:
    """Run a gateway whose default route is these vendors, in this order."""
    events: list[Event] = []
    async with AsyncExitStack() as stack:
        vendors = [await stack.enter_async_context(Vendor(play)) for play in plays]
        names = ["first", "second"][: len(vendors)]
        backends = {
            name: {"dialect": "llamacpp", "url": vendor.url, **_SHAPE.settings}
            for name, vendor in zip(names, vendors, strict=True)
        }
        routes = {
            "default": {"backends": names, "top_k": 1, "min_score": 0.9},
            "built_in": {"backends": ["local"]},
        }
        settings = {"server": server, "backends": backends, "routes": routes}
        gateway = await stack.enter_async_context(running(settings, emit=events.append))
        yield Scene(gateway, vendors, events)


def ask(count: int = 3, **more: Any) -> Ask:
    texts = [text_of(place) for place in range(count)]
    return Ask(query=_QUERY, texts=texts, truncate=True, **more)


def pieces(count: int = 3, **more: Any) -> list[Piece]:
    return [
        Piece(query=_QUERY, text=text_of(place), truncate=True, **more)
        for place in range(count)
    ]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of several things, none tells of itself
            await asyncio.sleep(0.005)


# What is answered


@pytest.mark.parametrize("streamed", [False, True])
async def test_all_texts_are_ranked_by_their_normalised_scores(
    streamed: bool,  # noqa: FBT001 - a case
) -> None:
    async with scene(_GOOD) as of:
        call = of.stream(pieces()) if streamed else of.rerank(ask())
        answer = await call
        told = dict(await call.initial_metadata())
    assert [each.index for each in answer.ranks] == _BEST_FIRST
    # Whatever the route has as its threshold and its depth.
    assert [each.score for each in answer.ranks] == pytest.approx(
        [sigmoid(_LOGITS[index]) for index in _BEST_FIRST], abs=1e-6
    )
    assert not any(each.HasField("text") for each in answer.ranks)
    texts = [text_of(place) for place in range(3)]
    assert answer.metadata.compute_chars == sum(len(_QUERY + text) for text in texts)
    assert answer.metadata.total_time_ns > 0
    assert told["x-search-method"] == "rerank"
    assert told["x-rerank-backend"] == "first"
    assert told["x-rerank-outcome"] == "RERANKED"
    assert told["x-rerank-route"] == "default"
    assert told["x-score-scale"] == "logit"
    assert told["x-fallback-triggered"] == "false"
    assert "x-fallback-reason" not in told


@pytest.mark.parametrize("streamed", [False, True])
async def test_raw_scores_and_texts_are_given_on_demand(
    streamed: bool,  # noqa: FBT001 - a case
) -> None:
    wish = {"raw_scores": True, "return_text": True}
    async with scene(_GOOD) as of:
        if streamed:
            # The first one decides for all.
            first, *others = pieces()
            first.raw_scores = first.return_text = True
            answer = await of.stream([first, *others])
        else:
            answer = await of.rerank(ask(**wish))
    assert [(each.index, each.score, each.text) for each in answer.ranks] == [
        (index, _LOGITS[index], text_of(index)) for index in _BEST_FIRST
    ]


async def test_who_answers_for_another_one_is_named() -> None:
    async with scene(_FAILS, _GOOD) as of:
        call = of.rerank(ask())
        assert [each.index for each in (await call).ranks] == _BEST_FIRST
        told = dict(await call.initial_metadata())
    assert told["x-rerank-backend"] == "second"
    assert told["x-fallback-triggered"] == "true"
    assert told["x-fallback-reason"] == "UNAVAILABLE"


async def test_a_model_may_have_any_name() -> None:
    async def named(exchange: Exchange) -> None:
        results = _SHAPE.results(list(_LOGITS))
        await reply(200, _SHAPE.answer(results, model="bge\u00fc\n"))(exchange)

    async with scene(named) as of:
        call = of.rerank(ask())
        await call
        assert dict(await call.initial_metadata())["x-rerank-model"] == "bge??"


async def test_a_route_is_chosen_by_metadata() -> None:
    route = (("x-rerank-route", "built_in"),)
    async with scene(_GOOD) as of:
        call = of.rerank(ask(50), metadata=route)
        # The built-in model scores 20 where nobody says more.
        assert sorted(each.index for each in (await call).ranks) == list(range(50))
        assert dict(await call.initial_metadata())["x-rerank-backend"] == "local"
        unknown = (("x-rerank-route", "nowhere"),)
        error = await of.error(of.rerank(ask(), metadata=unknown))
        assert error.code() is grpc.StatusCode.NOT_FOUND
        assert refused(error).reason == "ROUTE_NOT_FOUND"
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await of.info(metadata=unknown)
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


# What is not


@pytest.mark.parametrize(
    ("play", "code", "reason"),
    [
        (_FAILS, grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE"),
        (reply(401, b""), grpc.StatusCode.FAILED_PRECONDITION, "UNAUTHENTICATED"),
    ],
)
async def test_without_scores_a_call_fails_and_says_why(
    play: Play, code: grpc.StatusCode, reason: str
) -> None:
    async with scene(play) as of:
        for call in (of.rerank(ask()), of.stream(pieces())):
            error = await of.error(call)
            assert error.code() is code
            assert refused(error).reason == "RERANK_FAILED"
            told = dict(error.trailing_metadata())
            assert told["x-fallback-triggered"] == "true"
            assert told["x-fallback-reason"] == reason


@pytest.mark.parametrize(
    ("request_", "faults"),
    [
        (Ask(query=_QUERY), {"texts": "cannot be empty"}),
        (
            Ask(query=_QUERY, texts=["a", " ", ""]),
            {
                "texts[1]": "must not be blank: nobody scores it",
                "texts[2]": "must not be blank: nobody scores it",
            },
        ),
        (
            Ask(query=" ", texts=["a", "b" * 2000]),
            {
                "query": "must not be blank",
                "texts[1]": "title and text must have at most 1024 bytes of UTF-8",
            },
        ),
        (
            Ask(query=_QUERY, texts=["a"] * 9),
            {"texts": "batch size 9 > maximum allowed batch size 8"},
        ),
        (
            Ask(query="q", texts=["a"], truncate=True, truncation_direction=_LEFT),
            {
                "truncation_direction": "must be TRUNCATION_DIRECTION_RIGHT: "
                "texts are cut at their end"
            },
        ),
    ],
)
async def test_mistakes_are_told_in_the_callers_words(
    request_: Ask, faults: dict[str, str]
) -> None:
    async with scene(_GOOD, max_documents=8, max_document_bytes=1024) as of:
        error = await of.error(of.rerank(request_))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert violations(error) == faults


async def test_a_stream_has_one_query_and_only_so_many_texts() -> None:
    async with scene(_GOOD, max_documents=8, max_message_bytes=4096) as of:
        for asked, field in (
            ([], "texts"),
            ([Piece(query="a", text="x"), Piece(query="b", text="y")], "query"),
            (pieces(9), "texts"),
            ([Piece(query=_QUERY, text="x" * 3000)] * 2, "texts"),
        ):
            error = await of.error(of.stream(asked))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert list(violations(error)) == [field]


async def test_who_does_not_want_a_text_cut_is_told_that_it_was() -> None:
    texts = ["soup", "backup " * 5000]
    route = (("x-rerank-route", "built_in"),)
    async with scene(_GOOD) as of:
        asked = Ask(query=_QUERY, texts=texts)
        error = await of.error(of.rerank(asked, metadata=route))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert list(violations(error)) == ["texts[1]"]
        asked.truncate = True
        answer = await of.rerank(asked, metadata=route)
        assert [each.index for each in answer.ranks] == [1, 0]


async def test_who_leaves_is_followed_to_the_backend() -> None:
    async with scene(hang) as of:
        (vendor,) = of.vendors
        for number, streamed in enumerate((False, True), start=1):
            call = of.stream(pieces(2)) if streamed else of.rerank(ask())
            await vendor.until(lambda: vendor.in_progress == 1)
            call.cancel()
            await vendor.until(lambda: not vendor.in_progress)
            assert vendor.abandoned == number


# What it says of itself


async def test_info_names_the_model_and_the_limits() -> None:
    async with scene(_GOOD, max_calls=77, max_documents=123) as of:
        told = await of.info(metadata=(("x-rerank-route", "built_in"),))
    assert told.model_id == "all-minilm-l6-v2+bm25"
    assert told.model_type == tei_pb2.MODEL_TYPE_RERANKER
    assert told.version == version("rerank-gateway")
    assert told.max_concurrent_requests == 77
    assert told.max_client_batch_size == 123


async def _services(of: Scene) -> list[str]:
    channel: Any = of.gateway.channel
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    ask_ = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([ask_])):
        return [each.name for each in answer.list_services_response.service]
    raise AssertionError


async def test_reflection_and_health_know_it() -> None:
    async with scene(_GOOD) as of:
        health: Any = health_pb2_grpc.HealthStub(of.gateway.channel)
        for name in ("tei.v1.Rerank", "tei.v1.Info"):
            assert name in await _services(of)
            checked = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert checked.status == health_pb2.HealthCheckResponse.SERVING


async def test_it_can_be_switched_off() -> None:
    async with scene(_GOOD, tei=False) as of:
        assert not [name for name in await _services(of) if name.startswith("tei.")]
        error = await of.error(of.rerank(ask()))
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_its_calls_are_told_of_as_all_others() -> None:
    async with scene(_GOOD) as of:
        await of.rerank(ask())
        await _until(lambda: any(isinstance(each, CallEnded) for each in of.events))
    (line,) = [each for each in of.events if isinstance(each, CallEnded)]
    assert (line.method, line.status) == ("tei.v1.Rerank/Rerank", "OK")
    assert (line.outcome, line.backend) == ("RERANKED", "first")
    assert (line.scored, line.returned) == (3, 3)


# Gateway behind gateway


@asynccontextmanager
async def before(inner: Scene) -> AsyncIterator[tuple[Running, list[Event]]]:
    """Run a gateway whose backend is another gateway."""
    events: list[Event] = []
    url = f"grpc://{inner.gateway.address}"
    settings = {
        "backends": {"inner": {"dialect": "tei-grpc", "url": url}},
        "routes": {"default": {"backends": ["inner"]}},
    }
    async with running(settings, emit=events.append) as outer:
        yield outer, events


async def test_a_gateway_can_be_the_backend_of_another_one() -> None:
    async with scene(_GOOD) as inner, before(inner) as (outer, events):
        await _until(lambda: any(isinstance(each, FactsLearned) for each in events))
        (learned,) = [each for each in events if isinstance(each, FactsLearned)]
        assert learned.max_documents == 1000
        through = await outer.stub.Rerank(rerank_request(3), timeout=_PATIENCE_S)
        alone = await inner.gateway.stub.Rerank(
            rerank_request(3, top_k=3, min_score=0.0), timeout=_PATIENCE_S
        )
    assert through.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert [each.index for each in through.results] == _BEST_FIRST
    for one, other in zip(through.results, alone.results, strict=True):
        assert (one.raw_score, one.rerank_score) == (
            other.raw_score,
            other.rerank_score,
        )


async def test_what_fails_behind_it_is_a_fallback_before_it() -> None:
    async with scene(_FAILS) as inner, before(inner) as (outer, _):
        answer = await outer.stub.Rerank(rerank_request(3), timeout=_PATIENCE_S)
    assert answer.fallback_triggered
    assert [each.index for each in answer.results] == [0, 1, 2]
    assert answer.execution.fallback_reason == (
        execution_pb2.FALLBACK_REASON_UNAVAILABLE
    )
