"""Answers given again as a whole, over real sockets: nobody can tell, but for the time.

Which calls were given one is only known to who looks inside, as `recalled` does.
"""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from prometheus_client import parser

from gateway.events import AttemptEnded, CacheRead, CallEnded, Event
from gateway.rpc.recollection import Key, Recalled, Recollection
from gateway.telemetry import semconv
from rerank.v1 import (
    execution_pb2,
    options_pb2,
    rerank_service_pb2,
)
from tests.e2e.running import Running, place_of, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Play, Vendor, reply, reply_json
from tests.support.otlp import values
from tests.support.served import timeless
from tests.telemetry.scenarios import CALLER, GOOD, UNSAMPLED, one_backend
from tests.telemetry.scene import RERANK, Rpc, Scene

pytestmark = pytest.mark.real_time

Request = rerank_service_pb2.RerankRequest
Answer = rerank_service_pb2.RerankResponse
CacheOptions = options_pb2.CacheOptions

_METHOD = f"/{RERANK}"
_MIB = 1024 * 1024
_MAX_MESSAGE_BYTES = 3 * _MIB
_PATIENCE_S = 20.0
_BYPASS = options_pb2.CACHE_MODE_BYPASS
_REFRESH = options_pb2.CACHE_MODE_REFRESH
_FAIL = options_pb2.FAILURE_POLICY_FAIL

(_SHAPE,) = SHAPES["llamacpp"]


def scoring(score_of: Callable[[int], float], *, model: str = "played") -> Play:
    """Answer as a model of this name."""

    async def play(exchange: Exchange) -> None:
        raw = [score_of(place_of(each)) for each in _SHAPE.texts(exchange.received)]
        body = _SHAPE.answer(_SHAPE.results(raw), model=model)
        await reply(200, body)(exchange)

    return play


_PLAY = scoring(lambda place: place / 4 - 0.6)
_LATER_PLAY = scoring(lambda place: 2.0 - place / 4)
_DOWN = reply_json({}, status=503)


@pytest.fixture
def recalled(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Tell of each call that looked whether it was given a whole answer."""
    looked: list[bool] = []
    recall = Recollection.recall

    def watched(self: Recollection, key: Key | None, **more: Any) -> Recalled | None:
        found = recall(self, key, **more)
        looked.append(found is not None)
        return found

    monkeypatch.setattr(Recollection, "recall", watched)
    return looked


@dataclass(slots=True)
class Here:
    """A gateway with two backends, and all that is known of its calls."""

    gateway: Running
    first: Vendor
    second: Vendor
    metrics: str
    events: list[Event] = field(default_factory=list)

    async def ask(self, request: Request, **more: Any) -> Answer:
        """Make one call."""
        return await self.gateway.stub.Rerank(
            request, timeout=more.pop("timeout", _PATIENCE_S), **more
        )

    async def ask_bytes(self, data: bytes) -> Answer:
        """Make one call with these very bytes."""
        method: Any = self.gateway.channel.unary_unary(_METHOD)
        return Answer.FromString(await method(data, timeout=_PATIENCE_S))

    async def refused(self, data: bytes) -> grpc.aio.AioRpcError:
        """Make one call that fails."""
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await self.ask_bytes(data)
        return raised.value

    async def warmed(self, request: Request) -> Answer:
        """Ask twice: what comes next is given as a whole."""
        await self.ask(request)
        return await self.ask(request)

    async def lines(self, count: int) -> list[CallEnded]:
        """Give what the log was told of so many calls, without times."""
        async with asyncio.timeout(_PATIENCE_S):
            while len(ended := self._ended()) < count:  # noqa: ASYNC110 - told elsewhere
                await asyncio.sleep(0.01)
        return [
            replace(
                each, duration_s=0.0, stages=tuple((n, 0.0) for n, _ in each.stages)
            )
            for each in ended
        ]

    def _ended(self) -> list[CallEnded]:
        return [each for each in self.events if isinstance(each, CallEnded)]


@asynccontextmanager
async def here(
    play: Play = _PLAY,
    *,
    first_play: Play | None = None,
    answers: int = _MIB,
    ttl_s: float = 300.0,
    **backend: Any,
) -> AsyncIterator[Here]:
    async with Vendor(first_play or play) as first, Vendor(play) as second:
        one = {"dialect": "llamacpp", **_SHAPE.settings}
        metrics = _free_address()
        settings = {
            "server": {
                "max_message_bytes": _MAX_MESSAGE_BYTES,
                "allow_debug": True,
            },
            "telemetry": {"metrics_address": metrics},
            "cache": {
                "max_bytes": 64 * _MIB,
                "max_answer_bytes": answers,
                "ttl_s": ttl_s,
            },
            "backends": {
                "first": {**one, "url": first.url, **backend},
                "second": {**one, "url": second.url},
            },
            "routes": {
                # None of the bounds that budgets are sorted by.
                name: {"backends": ["first", "second"], "timeout_s": 4.2, **more}
                for name, more in _ROUTES.items()
            },
        }
        events: list[Event] = []
        async with running(settings, emit=events.append) as gateway:
            yield Here(gateway, first, second, f"http://{metrics}/metrics", events)


_ROUTES: dict[str, dict[str, Any]] = {
    "default": {},
    "strict": {"min_score": 0.5, "top_k": 3},
    "young": {"cache_ttl_s": 0.5},
    "partial": {"on_deadline": "partial"},
}


def _free_address() -> str:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{held.getsockname()[1]}"


def _raw(answer: Answer) -> dict[str, float]:
    return {each.id: each.raw_score for each in answer.results}


# Given again


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"top_n": 2},
        {"top_k": 2},
        {"min_score": 0.5},
        {"return_documents": True},
        {"route": "strict"},
        {"route": "partial", "failure_policy": _FAIL},
    ],
)
async def test_the_third_answer_and_its_line_are_those_of_the_second(
    recalled: list[bool], more: dict[str, Any]
) -> None:
    request = rerank_request(5, **more)
    request.documents.add(id="blank", text=" ")
    async with here() as scene:
        first = await scene.ask(request)
        second = await scene.ask(request)
        third = await scene.ask(request)
        _, line, same = await scene.lines(3)
    assert recalled == [False, False, True]
    assert len(scene.first.received) == 1
    assert timeless(third) == timeless(second)
    assert third.results == first.results
    execution = third.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    scored = more.get("top_k", 3 if more.get("route") == "strict" else 5)
    assert execution.cached_count == execution.scored_count == scored
    assert (execution.backend, execution.model) == ("first", "played")
    assert third.search_method == "rrf_hybrid+rerank"
    assert third.message == second.message == first.message != ""
    assert not third.fallback_triggered
    assert execution.duration.ToNanoseconds() > 0
    assert same == line
    assert (same.returned, same.cached) == (len(third.results), execution.scored_count)


async def test_an_equal_request_in_other_bytes_is_answered_right(
    recalled: list[bool],
) -> None:
    request = rerank_request(3, return_documents=True)
    query = Request(query=request.query).SerializeToString()
    plain = request.SerializeToString()
    async with here() as scene:
        expected = timeless(await scene.warmed(request))
        for other in (plain.removeprefix(query) + query, plain + b"\xf8\x7f\x01"):
            for _ in range(3):
                assert timeless(await scene.ask_bytes(other)) == expected
    assert recalled == [False, False] + [False, True, True] * 2
    assert len(scene.first.received) == 1


async def test_many_at_once_are_given_the_same(recalled: list[bool]) -> None:
    request = rerank_request(4)
    async with here() as scene:
        expected = timeless(await scene.warmed(request))
        other = rerank_request(4, query="another")
        await scene.ask(other)
        answers = await asyncio.gather(
            *(scene.ask(request if at % 2 else other) for at in range(60))
        )
    # The same numbers for both questions.
    assert all(timeless(answer) == expected for answer in answers)
    assert sum(recalled) == 59
    assert len(scene.first.received) == 2


# Asked anew


async def test_what_another_call_refreshed_is_given(recalled: list[bool]) -> None:
    request = rerank_request(5)
    async with here() as scene:
        old = await scene.warmed(request)
        scene.first.play = _LATER_PLAY
        refresh = CacheOptions(mode=_REFRESH)
        fresh = await scene.ask(rerank_request(5, cache=refresh))
        new = await scene.ask(request)
        again = await scene.ask(request)
    assert _raw(new) == _raw(fresh) != _raw(old)
    assert [each.id for each in new.results] == [each.id for each in fresh.results]
    assert timeless(again) == timeless(new)
    assert recalled == [False] * 4 + [True]


async def test_after_another_model_has_answered_it_is_asked_anew(
    recalled: list[bool],
) -> None:
    request = rerank_request(5)
    async with here() as scene:
        await scene.warmed(request)
        scene.first.play = scoring(lambda place: 9.0 - place, model="another")
        await scene.ask(rerank_request(1, query="somebody else"))
        answer = await scene.ask(request)
    assert answer.execution.model == "another"
    assert answer.execution.cached_count == 0
    assert _raw(answer)["doc-0"] == 9.0
    assert not any(recalled)


@pytest.mark.parametrize("mode", [_BYPASS, _REFRESH])
async def test_who_wants_it_anew_is_asked_for_each_time(
    recalled: list[bool], mode: options_pb2.CacheMode.ValueType
) -> None:
    request = rerank_request(3, cache=CacheOptions(mode=mode))
    async with here() as scene:
        await scene.warmed(rerank_request(3))
        for _ in range(3):
            answer = await scene.ask(request)
            assert answer.execution.cached_count == 0
    assert len(scene.first.received) == 4
    assert not any(recalled)


@pytest.mark.parametrize("whose", ["request", "route", "configuration"])
async def test_after_its_time_it_is_asked_anew(
    recalled: list[bool], whose: str
) -> None:
    request = rerank_request(5, route="young" if whose == "route" else "")
    if whose == "request":
        request.cache.ttl.FromMilliseconds(500)
    async with here(ttl_s=0.5 if whose == "configuration" else 300.0) as scene:
        # A busy machine may let it grow old meanwhile.
        for _ in range(20):
            await scene.ask(request)
            await scene.ask(request)
            await scene.ask(request)
            if any(recalled):
                break
        scene.first.play = _LATER_PLAY
        await asyncio.sleep(0.6)
        answer = await scene.ask(request)
    assert any(recalled)
    assert not recalled[-1]
    assert answer.execution.cached_count == 0
    assert _raw(answer)["doc-0"] == 2.0


async def test_an_answer_of_the_second_backend_is_never_given_again(
    recalled: list[bool],
) -> None:
    request = rerank_request(3)
    async with here(first_play=_DOWN) as scene:
        for _ in range(4):
            answer = await scene.ask(request)
            assert answer.fallback_triggered
            assert answer.execution.backend == "second"
            assert answer.execution.stages[0].outcome == (
                execution_pb2.STAGE_OUTCOME_DEGRADED
            )
        scene.first.play = _LATER_PLAY
        answer = await scene.ask(request)
        assert answer.execution.backend == "first"
        assert not answer.fallback_triggered
    assert not any(recalled)


async def test_the_order_received_is_never_given_again(recalled: list[bool]) -> None:
    request = rerank_request(3)
    async with here(_DOWN) as scene:
        for _ in range(3):
            answer = await scene.ask(request)
            assert answer.execution.outcome == execution_pb2.OUTCOME_FELL_BACK
        scene.first.play = _PLAY
        answer = await scene.ask(request)
        assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert not any(recalled)


async def test_of_a_listwise_backend_only_the_very_set_is_given_again(
    recalled: list[bool],
) -> None:
    async def compares(exchange: Exchange) -> None:
        texts = _SHAPE.texts(exchange.received)
        raw = [place_of(text) / len(texts) for text in texts]
        await reply(200, _SHAPE.answer(_SHAPE.results(raw), model="m"))(exchange)

    request = rerank_request(4)
    turned = rerank_request(4)
    turned.documents.reverse()
    async with here(compares, listwise=True) as scene:
        second = await scene.warmed(request)
        assert timeless(await scene.ask(request)) == timeless(second)
        for other in (turned, rerank_request(3)):
            answer = await scene.ask(other)
            assert answer.execution.cached_count == 0
    assert recalled == [False, False, True, False, False]


async def test_what_is_larger_than_all_that_may_be_kept_is_still_given(
    recalled: list[bool],
) -> None:
    request = rerank_request(3, return_documents=True)
    request.documents[0].text = f"{'long ' * 100_000} 7"
    async with here(answers=400_000) as scene:
        second = await scene.warmed(request)
        third = await scene.ask(request)
    assert timeless(third) == timeless(second)
    assert not any(recalled)


# Who looks closely


async def _twice(scene: Scene, request: Request, **more: Any) -> tuple[Rpc, Rpc]:
    return await scene.rerank(request, **more), await scene.rerank(request, **more)


async def test_a_trace_that_is_sampled_says_all_and_others_change_nothing(
    recalled: list[bool],
) -> None:
    request = rerank_request(3)
    unsampled: Any = {"metadata": [("traceparent", UNSAMPLED)], "sampled": False}
    sampled: Any = {"metadata": [("traceparent", CALLER)]}
    async with one_backend(GOOD, cache=_MIB) as (scene, vendor):
        await scene.rerank(request, **sampled)
        before = await scene.rerank(request, **sampled)
        quiet = await _twice(scene, request, **unsampled)
        after = await scene.rerank(request, **sampled)
        silent = await scene.rerank(request, **unsampled)
        own = await scene.rerank(request)
    # Who is traced does not even look.
    assert recalled == [False, True, True]
    assert len(vendor.received) == 1
    assert before.answer
    for rpc in (*quiet, after, silent, own):
        assert isinstance(rpc.answer, Answer)
        assert timeless(rpc.answer) == timeless(before.answer)  # type: ignore[arg-type]
    assert not any(rpc.trace_id for rpc in (*quiet, silent))
    assert after.trace_id == before.trace_id == CALLER.split("-")[1]
    assert own.trace_id not in {"", after.trace_id}
    spans = scene.told.collector.spans
    assert Counter(each.name for each in spans) == {RERANK: 4, "rerank": 4, "POST": 1}
    _, second, third, fourth = (
        _lasting(values(each.attributes)) for each in spans if each.name == RERANK
    )
    assert second == third == fourth
    assert (second[semconv.RETURNED], second[semconv.CACHED]) == (3, 3)
    assert second[semconv.RESULT_IDS] == ["doc-2", "doc-1", "doc-0"]
    found = [
        values(each.attributes)[semconv.CACHE_RESULT]
        for each in spans
        if each.name == "rerank"
    ]
    assert found == ["miss", "hit", "hit", "hit"]


def _lasting(said: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in said.items() if "duration" not in key}


async def test_who_asks_for_words_gets_them_and_others_do_not(
    recalled: list[bool],
) -> None:
    request = rerank_request(3)
    debug = (("x-rerank-debug", "1"),)
    async with here() as scene:
        plain = await scene.warmed(request)
        told = []
        for metadata in (debug, (), debug, (("x-rerank-debug", "0"),)):
            call = scene.gateway.stub.Rerank(
                request, timeout=_PATIENCE_S, metadata=metadata
            )
            assert timeless(await call) == timeless(plain)
            said = await call.trailing_metadata() or ()
            told.append([str(value) for key, value in said if key == debug[0][0]])
        lines = await scene.lines(6)
    assert recalled == [False, False, True, True]
    assert told[1] == told[3] == []
    for words in (told[0], told[2]):
        assert "3 of 3 scores remembered" in words
        assert 'result 1: document "doc-2", rank before 3' in "\n".join(words)
    assert len({*lines[1:]}) == 1


# What is no call like these


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x06canary\xff"])
async def test_bytes_that_are_no_request_are_refused_each_time(data: bytes) -> None:
    async with here() as scene:
        await scene.warmed(rerank_request(3))
        for _ in range(3):
            error = await scene.refused(data)
            assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
            status = rpc_status.from_call(error)  # type: ignore[arg-type] # no asyncio
            assert status
            bad = error_details_pb2.BadRequest()
            assert any(each.Unpack(bad) for each in status.details)
            assert [each.field for each in bad.field_violations] == ["request"]
            assert "canary" not in (error.details() or "")
        lines = await scene.lines(5)
    assert [each.status for each in lines[2:]] == ["INVALID_ARGUMENT"] * 3


async def test_other_refusals_stay_what_they_are(recalled: list[bool]) -> None:
    request = rerank_request(3)
    large = rerank_request(3, instruction="x" * _MAX_MESSAGE_BYTES)
    async with here() as scene:
        second = await scene.warmed(request)
        for _ in range(3):
            for other, code in (
                (large, grpc.StatusCode.RESOURCE_EXHAUSTED),
                (rerank_request(3, route="nowhere"), grpc.StatusCode.NOT_FOUND),
                (rerank_request(3, top_n=-1), grpc.StatusCode.INVALID_ARGUMENT),
                (Request(), grpc.StatusCode.INVALID_ARGUMENT),
            ):
                error = await scene.refused(other.SerializeToString())
                assert error.code() == code
        assert timeless(await scene.ask(request)) == timeless(second)
    assert recalled[-1]
    assert sum(recalled) == 1


async def test_without_time_there_is_the_answer_or_none(recalled: list[bool]) -> None:
    request = rerank_request(3)
    ends: Counter[str] = Counter()
    async with here() as scene:
        second = await scene.warmed(request)
        for timeout in [0.0, -1.0] + [1e-9, 1e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.5] * 10:
            try:
                answer = await scene.ask(request, timeout=timeout)
            except grpc.aio.AioRpcError as error:
                ends[error.code().name] += 1
                continue
            ends["OK"] += 1
            assert timeless(answer) == timeless(second)
        assert timeless(await scene.ask(request)) == timeless(second)
    assert {*ends} == {"OK", "DEADLINE_EXCEEDED"}
    assert {each.status for each in scene._ended()} <= {"OK", "DEADLINE_EXCEEDED"}
    assert recalled[-1]
    assert len(scene.first.received) == 1


# Numbers


async def _shown(scene: Here) -> dict[tuple[str, str], float]:
    """Give all that Prometheus is shown, without how long things took."""
    async with httpx.AsyncClient() as client:
        text = (await client.get(scene.metrics)).text
    return {
        (sample.name, json.dumps(sample.labels, sort_keys=True)): sample.value
        for family in parser.text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith(("rerank_gateway_", "rpc_server_"))
        and (sample.name.endswith("_count") or "_duration_" not in sample.name)
        and not sample.name.startswith("rerank_gateway_event_loop_lag")
    }


async def _calls(scene: Here) -> int:
    """Make calls of every kind, and say how many."""
    requests: Sequence[Request] = [
        rerank_request(5),
        rerank_request(5, top_n=1, min_score=0.5),
        rerank_request(5, route="strict"),
        rerank_request(5, cache=CacheOptions(mode=_BYPASS)),
        rerank_request(7),
        rerank_request(1),
        rerank_request(0),
    ]
    short = rerank_request(5)
    short.timeout.FromMilliseconds(3300)
    refresh = rerank_request(7, cache=CacheOptions(mode=_REFRESH))
    count = 0
    for request in [*requests, short] * 4 + [refresh] + [*requests, short] * 4:
        await scene.ask(request)
        count += 1
    for timeout in (1.8, 60.0, None):
        for _ in range(3):
            await scene.gateway.stub.Rerank(rerank_request(5), timeout=timeout)
            count += 1
    for data in (b"\xff", rerank_request(1, route="nowhere").SerializeToString()):
        await scene.refused(data)
        count += 1
    scene.first.play = _DOWN
    for _ in range(3):
        await scene.ask(rerank_request(9, query="while the first is down"))
        await scene.ask(rerank_request(5))
        count += 2
    scene.first.play = scoring(lambda place: 1.0 - place, model="another")
    for _ in range(4):
        await scene.ask(rerank_request(9, query="when it is back"))
        await scene.ask(rerank_request(5))
        count += 2
    return count


async def test_all_numbers_and_lines_are_as_without_it(recalled: list[bool]) -> None:
    async with here() as whole, here(answers=0) as plain:
        for scene in (whole, plain):
            count = await _calls(scene)
            before = len(recalled)
            lines = await scene.lines(count)
            assert len(lines) == count
        assert sum(recalled) > 40
        assert before == len(recalled)
        assert await whole.lines(count) == await plain.lines(count)
        shown, expected = await _shown(whole), await _shown(plain)
    for kind in (CacheRead, AttemptEnded):
        told, wanted = (
            [each for each in scene.events if isinstance(each, kind)]
            for scene in (whole, plain)
        )
        assert len(told) == len(wanted) > 0
    assert [each for each in whole.events if isinstance(each, CacheRead)] == [
        each for each in plain.events if isinstance(each, CacheRead)
    ]
    assert shown.keys() == expected.keys()
    for key, number in shown.items():
        # What remains of a deadline is never twice the same.
        loose = key[0] == "rerank_gateway_deadline_budget_seconds_sum"
        assert number == pytest.approx(expected[key], rel=0.05 if loose else 1e-9), key
    assert any("cache_result" in labels and '"hit"' in labels for _, labels in shown)
