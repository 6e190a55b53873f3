"""A call is told about in three ways, and all of them say the same.

Traces, metrics and the answer itself are compared in every scenario.
"""

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from gateway.telemetry import catalogue, semconv
from gateway.telemetry.rank_change import displacement
from rerank.v1 import execution_pb2
from tests.e2e.running import rerank_request
from tests.e2e.vendor import Exchange, reply
from tests.support.otlp import by, points, values
from tests.telemetry.golden import tree
from tests.telemetry.scenarios import (
    CALLERS_SPAN,
    CALLERS_TRACE,
    GOOD,
    LLAMACPP,
    SCENARIOS,
    UNSAMPLED,
    by_place,
    one_backend,
    told,
)
from tests.telemetry.scene import RERANK, Answer, Rpc, Told

pytestmark = pytest.mark.real_time
everywhere = pytest.mark.parametrize("name", SCENARIOS)

_BY_SERVER = {
    *("UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED"),
    *("INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
}
"""As OpenTelemetry's conventions for RPC have it, for the side of the server."""

_VENDORS = {"a_vendor_with_a_bill", "a_listwise_backend"}
"""Scenarios with a backend that everybody asks at one place."""

CALLS = ("POST", "tei.v1.Rerank/Rerank")
"""What spans of calls to backends are called."""

_SAMPLED = 1
"""Of the flags of a `traceparent`."""

_MOST_RESULTS = 50
_MOST_DOCUMENTS = 10


def roots(told: Told) -> list[Span]:
    return tree(told.collector.spans).get(b"", [])


def named(told: Told, *names: str) -> list[Span]:
    return [span for span in told.collector.spans if span.name in names]


def failed(span: Span) -> bool:
    return span.status.code == Status.STATUS_CODE_ERROR


def traced(told: Told) -> Iterator[tuple[Rpc, Span, dict[str, Any]]]:
    """Give each call whose caller was told of its trace, its root and what that says."""
    by_trace = {root.trace_id.hex(): root for root in roots(told)}
    for rpc in told.rpcs:
        if rpc.trace_id:
            root = by_trace[rpc.trace_id]
            yield rpc, root, values(root.attributes)


def answered(told: Told) -> Iterator[tuple[Answer, dict[str, Any]]]:
    for rpc, _, said in traced(told):
        if rpc.answer is not None:
            yield rpc.answer, said


# Trees


@everywhere
async def test_each_call_has_one_root_of_its_name(name: str) -> None:
    seen = await told(name)
    expected = Counter((rpc.method, rpc.status) for rpc in seen.rpcs if rpc.sampled)
    found = Counter(
        (said[semconv.RPC_METHOD], said[semconv.RPC_STATUS])
        for said in (values(root.attributes) for root in roots(seen))
    )
    assert found == expected
    for root in roots(seen):
        assert root.kind == Span.SPAN_KIND_SERVER
        method = values(root.attributes)[semconv.RPC_METHOD]
        assert root.name == ("grpc" if method == "_OTHER" else method)
    assert len({root.trace_id for root in roots(seen)}) == len(roots(seen))


@everywhere
async def test_no_span_is_without_its_parent(name: str) -> None:
    seen = await told(name)
    spans = {span.span_id: span for span in seen.collector.spans}
    assert len(spans) == len(seen.collector.spans)
    for span in spans.values():
        if span.kind == Span.SPAN_KIND_SERVER:
            assert span.parent_span_id.hex() in {"", CALLERS_SPAN}
        else:
            assert spans[span.parent_span_id].trace_id == span.trace_id


@everywhere
async def test_what_is_below_is_within(name: str) -> None:
    seen = await told(name)
    spans = {span.span_id: span for span in seen.collector.spans}
    # Here a call to a backend goes on for others after its own caller has left.
    outlived = {"POST"} if name == "the_first_of_two_callers_leaves" else set()
    for span in spans.values():
        assert span.start_time_unix_nano <= span.end_time_unix_nano
        parent = spans.get(span.parent_span_id)
        if parent:
            assert parent.start_time_unix_nano <= span.start_time_unix_nano
        if parent and span.name not in outlived:
            assert span.end_time_unix_nano <= parent.end_time_unix_nano


@everywhere
async def test_nothing_was_dropped_and_lists_are_bounded(name: str) -> None:
    for span in (await told(name)).collector.spans:
        assert not span.dropped_attributes_count
        assert not span.dropped_events_count
        assert not span.dropped_links_count
        assert not span.status.message
        said = values(span.attributes)
        for value in said.values():
            assert not isinstance(value, list) or len(value) <= _MOST_RESULTS
        for key in said:
            if key.startswith((semconv.RERANKED, semconv.RETRIEVED)):
                _, _, place, _, _ = key.split(".")
                assert int(place) < _MOST_DOCUMENTS


async def test_of_a_thousand_candidates_the_first_are_listed() -> None:
    seen = await told("a_thousand_candidates")
    ((answer, said),) = answered(seen)
    assert said[semconv.CANDIDATES] == said[semconv.RETURNED] == 1000
    assert len(answer.results) == 1000
    assert len(said[semconv.RESULT_IDS]) == _MOST_RESULTS
    (rerank,) = named(seen, "rerank")
    listed = [
        key
        for key in values(rerank.attributes)
        if key.startswith(semconv.RERANKED) and key.endswith(".id")
    ]
    assert len(listed) == _MOST_DOCUMENTS


async def test_a_long_id_is_cut() -> None:
    asked = rerank_request(2)
    asked.documents[1].id = "i" * 300
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(asked)
    ((_, said),) = answered(scene.told)
    assert said[semconv.RESULT_IDS] == ["i" * 128, "doc-0"]
    (rerank,) = named(scene.told, "rerank")
    assert values(rerank.attributes)[f"{semconv.RERANKED}.0.document.id"] == "i" * 128


@everywhere
async def test_a_span_has_no_events_but_those_of_messages(name: str) -> None:
    seen = await told(name)
    messages = [each for rpc in seen.rpcs for each in rpc.answers]
    for span in seen.collector.spans:
        events = [(each.name, values(each.attributes)) for each in span.events]
        if not span.name.endswith("/SearchProgressive"):
            assert not events
            continue
        assert events == [
            (
                "rerank_gateway.message.sent",
                {
                    semconv.SEARCH_METHOD: each.search_method,
                    semconv.RETURNED: len(each.results),
                },
            )
            for each in messages
        ]


# Statuses


@everywhere
async def test_a_root_fails_where_the_server_is_to_blame(name: str) -> None:
    for root in roots(await told(name)):
        said = values(root.attributes)
        status = said[semconv.RPC_STATUS]
        assert failed(root) is (status in _BY_SERVER)
        assert said.get(semconv.ERROR_TYPE) == (status if failed(root) else None)


@everywhere
async def test_below_a_root_what_failed_names_its_error(name: str) -> None:
    seen = await told(name)
    for span in seen.collector.spans:
        said = values(span.attributes)
        assert failed(span) is bool(said.get(semconv.ERROR_TYPE))


@everywhere
async def test_every_call_is_counted_with_its_status(name: str) -> None:
    """Also those that are not sampled."""
    seen = await told(name)
    counted = by(
        seen.collector.counts(catalogue.CALL_DURATION.name),
        *(semconv.RPC_METHOD, semconv.RPC_STATUS, semconv.ERROR_TYPE),
    )
    assert counted == Counter(
        (rpc.method, rpc.status, rpc.status if rpc.status in _BY_SERVER else "")
        for rpc in seen.rpcs
    )


async def test_calls_ended_in_every_way() -> None:
    ends = {rpc.status for name in SCENARIOS for rpc in (await told(name)).rpcs}
    assert ends == {
        *("OK", "CANCELLED", "INVALID_ARGUMENT", "NOT_FOUND", "RESOURCE_EXHAUSTED"),
        "UNAUTHENTICATED",
        *_BY_SERVER - {"UNKNOWN", "DATA_LOSS"},
    }


async def test_who_leaves_is_no_error_and_who_waits_too_long_is() -> None:
    (left,) = roots(await told("a_client_that_leaves"))
    (late,) = roots(await told("a_client_whose_deadline_passes"))
    assert values(left.attributes)[semconv.RPC_STATUS] == "CANCELLED"
    assert not failed(left)
    assert values(late.attributes)[semconv.RPC_STATUS] == "DEADLINE_EXCEEDED"
    assert failed(late)


# Results


@everywhere
async def test_a_root_says_what_the_answer_says(name: str) -> None:
    for answer, said in answered(await told(name)):
        execution = answer.execution
        assert said[semconv.SEARCH_METHOD] == answer.search_method
        assert said[semconv.OUTPUT] == answer.search_method
        outcome = execution_pb2.Outcome.Name(execution.outcome)
        assert f"OUTCOME_{said[semconv.OUTCOME].upper()}" == outcome
        asked = outcome != "OUTCOME_NOT_REQUESTED"
        assert said.get(semconv.ROUTE) == (execution.route if asked else None)
        assert said[semconv.SCORED] == execution.scored_count
        assert said[semconv.CACHED] == execution.cached_count
        assert said[semconv.TRUNCATED] == len(execution.truncated_indexes)
        assert said[semconv.RETURNED] == len(answer.results)


@everywhere
async def test_lists_on_a_root_are_the_results(name: str) -> None:
    for answer, said in answered(await told(name)):
        first = answer.results[:_MOST_RESULTS]
        assert said[semconv.RESULT_IDS] == [
            each.id or f"#{each.index}" for each in first
        ]
        assert said[semconv.RESULT_SCORES] == [each.score for each in first]
        assert said[semconv.RESULT_RANKS_BEFORE] == [
            each.original_rank for each in first
        ]
        methods = [each.search_method for each in answer.results]
        assert said[semconv.RESULT_METHODS] == methods[:_MOST_RESULTS]
        assert said[semconv.RESULT_MIXED] is (len({*methods}) > 1)
        assert said[semconv.SEARCH_METHOD] == methods[0]


@everywhere
async def test_the_method_is_that_of_the_metric(name: str) -> None:
    seen = await told(name)
    counted = by(
        seen.collector.counts(catalogue.REQUEST_DURATION.name), semconv.SEARCH_METHOD
    )
    assert counted == Counter(
        (answer.search_method,) for rpc in seen.rpcs for answer in rpc.counted
    )


@everywhere
async def test_the_method_says_rerank_only_where_one_succeeded(name: str) -> None:
    seen = await told(name)
    below = tree(seen.collector.spans)
    for _, root, said in traced(seen):
        if semconv.SEARCH_METHOD not in said:
            continue
        succeeded = [
            each
            for each in below.get(root.span_id, ())
            if each.name == "rerank"
            and not failed(each)
            and values(each.attributes)[semconv.SCORED]
        ]
        assert ("rerank" in said[semconv.SEARCH_METHOD].split("+")) is bool(succeeded)
        for each in said[semconv.RESULT_METHODS]:
            assert succeeded or "rerank" not in each.split("+")
        for rerank in succeeded:
            method = values(rerank.attributes)[semconv.SEARCH_METHOD]
            assert said[semconv.SEARCH_METHOD] in {method, f"{method}+mmr"}


@everywhere
async def test_what_was_asked_for_is_what_came_unless_something_failed(
    name: str,
) -> None:
    for answer, said in answered(await told(name)):
        if not answer.fallback_triggered and answer.execution.scored_count:
            assert said[semconv.REQUESTED_METHOD] == answer.search_method


@everywhere
async def test_ranks_of_a_rerank_are_those_of_the_answer(name: str) -> None:
    """Of Rerank; in a Search, another stage may come before or after."""
    seen = await told(name)
    below = tree(seen.collector.spans)
    for rpc, root, said in traced(seen):
        if rpc.method != RERANK or rpc.answer is None:
            continue
        (rerank,) = (each for each in below[root.span_id] if each.name == "rerank")
        of_rerank = values(rerank.attributes)
        scored = [each for each in rpc.answer.results if each.HasField("rerank_score")]
        assert of_rerank.get(semconv.TOP1_CHANGED) == (
            scored[0].index != 0 if scored else None
        )
        assert of_rerank.get(semconv.DISPLACEMENT) == displacement(
            [each.index for each in scored]
        )
        for key in (semconv.OUTCOME, semconv.CANDIDATES, semconv.SCORED):
            assert of_rerank[key] == said[key]


async def test_a_window_leaves_the_tail_its_method() -> None:
    ((answer, said),) = answered(await told("a_search_that_reranks_only_its_head"))
    assert said[semconv.RESULT_METHODS] == [
        *["rrf_hybrid+rerank"] * 2,
        *["rrf_hybrid"] * 3,
    ]
    assert said[semconv.RESULT_MIXED] is True
    assert answer.search_method == "rrf_hybrid+rerank"


# Fallbacks and attempts


@everywhere
async def test_a_fallback_is_an_error_of_the_rerank_alone(name: str) -> None:
    seen = await told(name)
    below = tree(seen.collector.spans)
    fell_back: Counter[tuple[str, ...]] = Counter()
    for span in named(seen, "rerank"):
        said = values(span.attributes)
        reason = said.get(semconv.FALLBACK_REASON)
        if said.get(semconv.OUTCOME) != "fell_back":
            assert reason is None
            continue
        assert failed(span)
        assert reason == said[semconv.ERROR_TYPE]
        fell_back[reason,] += 1
        attempts = below.get(span.span_id)
        if attempts:
            assert values(attempts[-1].attributes)[semconv.ERROR_TYPE] == reason
        else:
            assert reason == "circuit_open"
    counted = by(
        seen.collector.counts(catalogue.FALLBACKS.name), semconv.FALLBACK_REASON
    )
    assert counted == fell_back
    for rpc, root, said in traced(seen):
        fell = bool(rpc.answer and rpc.answer.execution.fallback_reason)
        assert (semconv.FALLBACK_REASON in said) is fell
        if fell:
            assert rpc.status == said[semconv.RPC_STATUS] == "OK"
            assert not failed(root)
            assert semconv.ERROR_TYPE not in said


async def test_there_were_fallbacks_of_every_kind_that_is_named() -> None:
    reasons = {
        name: [
            values(span.attributes).get(semconv.ERROR_TYPE)
            for span in named(await told(name), "rerank")
        ]
        for name in (
            "a_timeout_then_the_order_received",
            "a_circuit_that_opens",
            "a_malformed_answer",
            "a_rerank_without_time",
            "a_503_then_the_second_backend",
        )
    }
    assert reasons == {
        "a_timeout_then_the_order_received": ["timeout"],
        "a_circuit_that_opens": ["unavailable", "circuit_open"],
        "a_malformed_answer": ["malformed"],
        "a_rerank_without_time": ["deadline"],
        "a_503_then_the_second_backend": [None],
    }


@everywhere
async def test_attempts_are_counted_as_they_are_traced(name: str) -> None:
    seen = await told(name)
    if not all(rpc.sampled for rpc in seen.rpcs):
        return
    counted = by(
        seen.collector.counts(catalogue.ATTEMPT_DURATION.name),
        *(semconv.BACKEND, semconv.ERROR_TYPE),
    )
    assert counted == Counter(
        (said[semconv.BACKEND], said.get(semconv.ERROR_TYPE, ""))
        for said in (
            values(span.attributes) for span in named(seen, *CALLS, "score", "embed")
        )
    )
    assert not seen.collector.counts(catalogue.IN_FLIGHT.name)


@everywhere
async def test_attempts_are_numbered(name: str) -> None:
    seen = await told(name)
    below = tree(seen.collector.spans)
    for span in named(seen, "rerank"):
        numbers = [
            values(each.attributes)[semconv.ATTEMPT]
            for each in below.get(span.span_id, ())
        ]
        assert numbers == [*range(1, len(numbers) + 1)]


async def test_who_waits_for_the_call_of_another_is_linked_to_it() -> None:
    seen = await told("two_callers_with_one_question")
    below = tree(seen.collector.spans)
    first, second = named(seen, "rerank")
    assert not first.links
    (link,) = second.links
    assert (link.trace_id, link.span_id) == (first.trace_id, first.span_id)
    assert first.trace_id != second.trace_id
    assert [each.name for each in below[first.span_id]] == ["POST"]
    assert second.span_id not in below
    assert values(second.attributes)[semconv.CACHE_RESULT] == "coalesced"
    assert len(seen.asked["only"]) == 1


async def test_how_the_memory_took_part_is_told() -> None:
    results = {
        name: [
            values(span.attributes).get(semconv.CACHE_RESULT)
            for span in named(await told(name), "rerank")
        ]
        for name in (
            *("a_cache_hit", "a_partial_cache_hit", "a_cache_that_is_not_wanted"),
            "two_callers_with_one_question",
        )
    }
    assert results == {
        "a_cache_hit": ["miss", "hit"],
        "a_partial_cache_hit": ["miss", "partial"],
        "a_cache_that_is_not_wanted": ["bypass"],
        "two_callers_with_one_question": ["miss", "coalesced"],
    }
    for name, expected in results.items():
        seen = await told(name)
        for metric in (catalogue.CACHE_LOOKUPS, catalogue.REQUEST_DURATION):
            counted = by(seen.collector.counts(metric.name), semconv.CACHE_RESULT)
            assert counted == Counter((each,) for each in expected)


# Traces of callers, and on their way to backends


async def test_a_callers_trace_goes_on_in_its_own_server() -> None:
    seen = await told("a_caller_with_a_trace")
    (rpc,) = seen.rpcs
    (root,) = roots(seen)
    assert root.trace_id.hex() == rpc.trace_id == CALLERS_TRACE
    assert root.parent_span_id.hex() == CALLERS_SPAN
    (post,) = named(seen, "POST")
    (asked,) = seen.asked["only"]
    assert asked.headers["traceparent"] == (
        f"00-{CALLERS_TRACE}-{post.span_id.hex()}-01"
    )
    assert asked.headers["tracestate"] == "vendor=1"
    assert "baggage" not in asked.headers


async def test_an_unsampled_trace_is_not_sent_and_goes_on_unsampled() -> None:
    seen = await told("a_caller_whose_trace_is_not_sampled")
    assert not seen.collector.traces
    (rpc,) = seen.rpcs
    assert rpc.status == "OK"
    assert not rpc.trace_id
    (asked,) = seen.asked["only"]
    version, trace, span, flags = asked.headers["traceparent"].split("-")
    assert (version, trace, flags) == ("00", CALLERS_TRACE, "00")
    assert span not in {CALLERS_SPAN, "0" * 16}
    assert UNSAMPLED.endswith(flags)


@everywhere
async def test_a_vendor_learns_no_trace_and_a_server_of_ours_its_span(
    name: str,
) -> None:
    seen = await told(name)
    spans = {
        f"00-{each.trace_id.hex()}-{each.span_id.hex()}" for each in named(seen, *CALLS)
    }
    for backend, requests in seen.asked.items():
        for request in requests:
            header = request.headers.get("traceparent", "")
            if name in _VENDORS:
                assert not header, backend
            elif all(rpc.sampled for rpc in seen.rpcs):
                span, _, flags = header.rpartition("-")
                assert span in spans
                assert int(flags, 16) & _SAMPLED


# Bounds


async def test_however_much_is_asked_the_series_are_few() -> None:
    """Routes, methods, queries and models come from elsewhere, and could be anything."""
    chance = random.Random(7)
    calls = 260

    def word() -> str:
        return f"w{chance.getrandbits(64):x}"

    async def play(exchange: Exchange) -> None:
        scores = [by_place(each) for each in LLAMACPP.texts(exchange.received)]
        body = LLAMACPP.answer(LLAMACPP.results(scores), model=word())
        await reply(200, body)(exchange)

    async with one_backend(play) as (scene, _):
        for _ in range(calls):
            await scene.rerank(rerank_request(2, query=word()))
            await scene.rerank(rerank_request(2, route=word()))
            await scene.ask(f"{word()}/{word()}", rerank_request(1), called="_OTHER")
    metrics = scene.told.collector.last_metrics
    assert by(
        scene.told.collector.counts(catalogue.CALL_DURATION.name), semconv.RPC_STATUS
    ) == {("OK",): calls, ("NOT_FOUND",): calls, ("UNIMPLEMENTED",): calls}
    assert not any("overflow" in name for name in metrics)
    for metric in metrics.values():
        assert len(points(metric)) <= catalogue.MOST_SERIES + 1, metric.name
    scores = by(scene.told.collector.counts(catalogue.SCORE.name), semconv.MODEL)
    assert sum(scores.values()) == calls
    assert scores[semconv.OTHER,] == calls - catalogue.MOST_SERIES
