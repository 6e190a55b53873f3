"""Whole answers are given again only where asking anew would give the very same."""

import asyncio
import gc
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.contract import Execution, Outcome
from gateway.errors import InvalidRequest, UnknownRoute
from gateway.events import CacheRead
from gateway.layers.process_memory import BYTES_PER_ENTRY
from gateway.observing import trace_id
from gateway.rpc.recollection import _Answers, _Known
from rerank.v1 import document_pb2, execution_pb2, options_pb2, rerank_service_pb2
from tests.support.clock import VirtualLoop
from tests.support.identities import by
from tests.support.served import MIB, Answer, Served, timeless

Request = rerank_service_pb2.RerankRequest
CacheOptions = options_pb2.CacheOptions
BYPASS = options_pb2.CACHE_MODE_BYPASS
REFRESH = options_pb2.CACHE_MODE_REFRESH
FAIL = options_pb2.FAILURE_POLICY_FAIL

UNKNOWN_FIELD = b"\xf8\x7f\x01"
"""Number 2047, a 1: nobody knows what it means."""


def asking(*texts: str, **more: Any) -> Request:
    return Request(
        query=more.pop("query", "why"),
        search_method=more.pop("search_method", "rrf_hybrid"),
        documents=[
            document_pb2.Document(id=f"id-{at}", text=text, score=1 / (61 + at))
            for at, text in enumerate(texts or ("a", "b", "long c"))
        ],
        **more,
    )


def ttl(seconds: int) -> CacheOptions:
    options = CacheOptions()
    options.ttl.FromSeconds(seconds)
    return options


async def warmed(request: Request | bytes, **more: Any) -> Served:
    """Ask twice: what comes next is given as a whole."""
    served = Served(**more)
    await served.ask(request)
    await served.ask(request)
    assert served.recalled == 0
    return served


def raw(answer: Answer) -> list[float]:
    return [each.raw_score for each in answer.results]


def reads(served: Served) -> list[CacheRead]:
    return [each for each in served.events if isinstance(each, CacheRead)]


# What is given again


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"top_n": 2},
        {"top_k": 2},
        {"min_score": 0.3},
        {"return_documents": True},
        {"max_per_group": 1},
        {"search_method": ""},
        {"route": "strict"},
        {"route": "both", "failure_policy": FAIL},
        {"labels": {"tenant": "one"}},
    ],
)
async def test_the_third_answer_is_the_second_one(more: Mapping[str, Any]) -> None:
    request = asking("a", " ", "b", "long c", "a", **more)
    served = Served()
    first = await served.ask(request)
    second = await served.ask(request)
    third = await served.ask(request)
    assert served.recalled == 1
    assert len(served.first.asked) == 1
    assert timeless(third) == timeless(second)
    assert third.results == first.results
    execution = third.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert execution.cached_count == execution.scored_count > 0
    assert not execution.attempts
    assert not third.fallback_triggered
    assert third.search_method == second.search_method != ""
    assert third.message == second.message != ""


async def test_a_blank_and_a_cut_document_are_named_again() -> None:
    served = await warmed(request := asking("a", " ", "long c", "\n"))
    answer = await served.ask(request)
    assert served.recalled == 1
    assert list(answer.execution.unscored_indexes) == [1, 3]
    assert list(answer.execution.truncated_indexes) == [2]
    assert [each.index for each in answer.results][2:] == [1, 3]
    # Its tail was not reranked, and says so.
    assert answer.results[-1].search_method == "rrf_hybrid"
    assert not answer.results[-1].HasField("rerank_score")


async def test_how_long_it_took_is_its_own() -> None:
    served = await warmed(request := asking())
    answer = await served.ask(request)
    took = answer.execution.duration
    assert 0 < took.ToNanoseconds() < 1_000_000_000
    assert [each.duration for each in answer.execution.stages] == [took]


async def test_nothing_waits_for_a_whole_answer() -> None:
    served = await warmed(request := asking())
    call = served.ask(request)
    with pytest.raises(StopIteration):
        call.send(None)
    assert served.recalled == 1


async def test_of_equal_requests_in_other_bytes_each_is_answered() -> None:
    request = asking(return_documents=True)
    plain = request.SerializeToString()
    # The query last, though its number is the first.
    query = Request(query=request.query).SerializeToString()
    assert plain.startswith(query)
    turned = plain.removeprefix(query) + query
    # Said twice, the last one counts.
    twice = Request(query="what").SerializeToString() + plain
    served = await warmed(request)
    expected = timeless(await served.ask(plain))
    for other in (turned, plain + UNKNOWN_FIELD, twice):
        assert other != plain
        assert not await served.recalls(other)
        assert timeless(await served.ask(other)) == expected
        assert await served.recalls(other)
        assert timeless(await served.ask(other)) == expected


async def test_a_part_of_the_same_bytes_is_another_question() -> None:
    served = await warmed(request := asking(query="why"))
    other = request.SerializeToString() + Request(query="who").SerializeToString()
    known, unlike = await served.ask(request), await served.ask(other)
    assert raw(known) != raw(unlike)
    await served.ask(other)
    assert timeless(await served.ask(other)).results == unlike.results


@pytest.mark.parametrize(
    "more",
    [
        {"top_n": 1},
        {"top_k": 1},
        {"min_score": 0.9},
        {"return_documents": True},
        {"route": "both"},
        {"route": "strict"},
        {"failure_policy": FAIL},
        {"search_method": "vector"},
        {"labels": {"tenant": "one"}},
        {"query": "who"},
        {"instruction": "judge well"},
        {"cache": ttl(50)},
        {"max_per_group": 1},
    ],
)
async def test_whatever_is_asked_otherwise_is_another_answer(
    more: Mapping[str, Any],
) -> None:
    served = await warmed(asking())
    other = asking(**more)
    alone = Served(max_answer_bytes=0)
    for _ in range(2):
        await alone.ask(other)
    assert not await served.recalls(other)
    await served.ask(other)
    assert timeless(await served.ask(other)) == timeless(await alone.ask(other))
    assert served.recalled
    # Nor did the one take the other's place.
    assert await served.recalls(asking())


# What is asked anew


@pytest.mark.parametrize(
    ("more", "young_s"),
    [
        ({}, 100),
        ({"route": "young"}, 10),
        ({"cache": ttl(20)}, 20),
        ({"route": "young", "cache": ttl(40)}, 40),
    ],
)
async def test_after_its_time_it_is_asked_anew(
    more: Mapping[str, Any], young_s: float
) -> None:
    # A score may be forgotten a tenth of the time earlier.
    served = Served(ttl_s=100 if young_s == 100 else 1000)
    request = asking(**more)
    await served.ask(request)
    old = await served.ask(request)
    await asyncio.sleep(young_s * 0.89)
    assert await served.recalls(request)
    served.first.shift = 5.0
    await asyncio.sleep(young_s * 0.12)
    new = await served.ask(request)
    assert served.recalled == 1
    assert new.execution.cached_count == 0
    assert raw(new) == [each + 5.0 for each in raw(old)]


async def test_to_be_given_again_makes_it_no_younger() -> None:
    served = await warmed(request := asking())
    for _ in range(9):
        await asyncio.sleep(9.9)
        await served.ask(request)
    assert served.recalled == 9
    await asyncio.sleep(11)
    assert not await served.recalls(request)
    assert len(served.first.asked) == 2


async def test_what_another_call_refreshed_is_given() -> None:
    served = await warmed(request := asking())
    served.first.shift = 5.0
    # One pair of them is enough.
    await served.ask(asking("b", cache=CacheOptions(mode=REFRESH)))
    answer = await served.ask(request)
    assert served.recalled == 0
    b = next(each for each in answer.results if each.id == "id-1")
    assert b.raw_score == pytest.approx(max(raw(answer)))
    assert timeless(await served.ask(request)) == timeless(answer)
    assert served.recalled == 1


async def test_the_same_scores_refreshed_are_given_with_their_new_age() -> None:
    served = await warmed(request := asking())
    await asyncio.sleep(80)
    await served.ask(asking(cache=CacheOptions(mode=REFRESH)))
    await served.ask(request)
    await asyncio.sleep(80)
    assert await served.recalls(request)


async def test_after_one_pair_was_forgotten_it_is_asked_for() -> None:
    served = await warmed(request := asking(), max_bytes=4 * BYTES_PER_ENTRY)
    # Room for one more, which displaces nothing; and for another, which does.
    await served.ask(asking("x"))
    assert await served.recalls(request)
    await served.ask(asking("y", "z"))
    answer = await served.ask(request)
    assert served.recalled == 1
    assert answer.execution.cached_count == 2
    assert [each.document_count for each in answer.execution.attempts] == [1]
    assert served.first.asked[-1] == ["a"]


@pytest.mark.parametrize("what", ["model", "revision"])
async def test_another_model_is_not_given_the_answer_of_the_old_one(what: str) -> None:
    served = await warmed(request := asking())
    setattr(served.first, what, "another")
    served.first.shift = 5.0
    # It is told by an answer to somebody else.
    await served.ask(asking("x"))
    answer = await served.ask(request)
    assert served.recalled == 0
    assert answer.execution.cached_count == 0
    assert answer.execution.model == served.first.model
    assert len(served.first.asked) == 3
    # And the old one is known again when it comes back.
    await served.ask(request)
    assert await served.recalls(request)


@pytest.mark.parametrize("mode", [BYPASS, REFRESH])
async def test_who_does_not_want_it_remembered_is_answered_anew(
    mode: options_pb2.CacheMode.ValueType,
) -> None:
    served = Served()
    request = asking(cache=CacheOptions(mode=mode))
    for count in range(1, 5):
        answer = await served.ask(request)
        assert answer.execution.cached_count == 0
        assert len(served.first.asked) == count
    assert served.recalled == 0
    assert served.used_bytes == 0


# What never is one


async def test_answers_of_another_backend_than_the_first_are_not_remembered() -> None:
    served = Served()
    served.first.is_down = True
    request = asking(route="both")
    for _ in range(4):
        answer = await served.ask(request)
        assert answer.fallback_triggered
        assert answer.execution.backend == "second"
    assert answer.execution.cached_count == 3
    assert (served.recalled, served.used_bytes) == (0, 0)
    # Nor do they stand in for the first one when it is back.
    served.first.is_down = False
    answer = await served.ask(request)
    assert (answer.execution.backend, answer.fallback_triggered) == ("first", False)


async def test_answers_in_the_order_received_are_not_remembered() -> None:
    served = Served()
    served.first.is_down = True
    for _ in range(3):
        answer = await served.ask(asking())
        assert answer.execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    assert (served.recalled, served.used_bytes) == (0, 0)
    served.first.is_down = False
    answer = await served.ask(asking())
    assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED


@pytest.mark.parametrize("route", ["default", "partial"])
async def test_answers_with_a_gap_are_not_remembered(route: str) -> None:
    served = Served(max_documents=9)
    served.first.leaves_out = served.second.leaves_out = True
    request = asking("a", "b", "c", "d", route=route)
    # Each time the rest is asked for, of which the last one gets none.
    answer = await served.ask(request)
    assert answer.execution.outcome == execution_pb2.OUTCOME_PARTIALLY_RERANKED
    assert (served.recalled, served.used_bytes) == (0, 0)
    served.first.leaves_out = False
    answer = await served.ask(request)
    assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert served.used_bytes == 0


async def test_an_answer_partly_from_memory_is_not_remembered() -> None:
    served = Served()
    await served.ask(asking("a"))
    answer = await served.ask(asking("a", "b"))
    assert answer.execution.cached_count == 1
    assert (served.recalled, served.used_bytes) == (0, 0)


@pytest.mark.parametrize("request_", [asking(" "), Request(query="why")])
async def test_nothing_to_score_is_not_remembered(request_: Request) -> None:
    served = Served()
    for _ in range(3):
        answer = await served.ask(request_)
        assert answer.execution.outcome == execution_pb2.OUTCOME_NOTHING_TO_SCORE
    assert (served.recalled, served.used_bytes) == (0, 0)


async def test_without_a_memory_of_scores_there_is_none_of_answers() -> None:
    served = Served(max_bytes=0)
    for _ in range(3):
        assert not await served.recalls(asking())
    assert served.used_bytes == 0
    assert len(served.first.asked) == 3


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\xff", b"\x0a\x06canary\xff"])
async def test_bytes_that_are_no_request_are_refused_each_time(data: bytes) -> None:
    served = Served()
    for _ in range(3):
        with pytest.raises(InvalidRequest) as raised:
            await served.ask(data)
        assert [each.field for each in raised.value.violations] == ["request"]
    assert served.used_bytes == 0


async def test_a_request_with_faults_is_refused_each_time() -> None:
    served = await warmed(asking())
    for _ in range(3):
        with pytest.raises(InvalidRequest):
            await served.ask(asking(top_n=-1))
        with pytest.raises(UnknownRoute):
            await served.ask(asking(route="nowhere"))
        with pytest.raises(InvalidRequest):
            await served.ask(b"")


# Models that compare


async def test_a_listwise_answer_is_given_again_as_a_whole() -> None:
    request = asking("a", "b", "c")
    served = await warmed(request, listwise=True)
    known = await served.ask(request)
    assert served.recalled == 1
    served.first.shift = 5.0
    await served.ask(asking("c", "b", "a"))
    assert timeless(await served.ask(request)) == timeless(known)
    await served.ask(asking("a", "b", "c", cache=CacheOptions(mode=REFRESH)))
    assert raw(await served.ask(request)) == [each + 5.0 for each in raw(known)]


@pytest.mark.parametrize("most", [2, 4])
async def test_when_a_listwise_model_takes_another_number_it_is_asked_anew(
    most: int,
) -> None:
    request = asking("a", "b", "c", "d", "e")
    served = await warmed(request, listwise=True)
    assert await served.recalls(request)
    served.facts.learn_max_documents(most)
    answer = await served.ask(request)
    assert served.recalled == 1
    assert answer.execution.scored_count == most
    assert served.first.asked[-1] == ["a", "b", "c", "d", "e"][:most]


async def test_a_bound_that_takes_no_part_asks_nothing_anew() -> None:
    request = asking("a", "b")
    served = await warmed(request, listwise=True)
    served.facts.learn_max_documents(2)
    assert await served.recalls(request)


# Who looks closely


async def test_a_traced_call_takes_the_whole_way() -> None:
    served = await warmed(request := asking())
    known = await served.ask(request)
    token = trace_id.set("0af7651916cd43dd8448eb211c80319c")
    try:
        assert timeless(await served.ask(request)) == timeless(known)
    finally:
        trace_id.reset(token)
    assert served.recalled == 1
    assert await served.recalls(request)


async def test_who_asks_for_words_takes_the_whole_way() -> None:
    served = await warmed(request := asking())
    debug = (("x-rerank-debug", "1"),)
    assert not await served.recalls(request, metadata=debug)
    other = (("x-rerank-caller", "someone"), ("x-rerank-debug", "0"))
    assert await served.recalls(request, metadata=other)


# What is told


@pytest.mark.parametrize("remaining_s", [None, 0.7, 60.0])
@pytest.mark.parametrize(
    "more", [{}, {"top_n": 1, "route": "strict"}, {"search_method": "vector"}]
)
async def test_it_is_counted_as_if_scores_had_been_put_together(
    more: Mapping[str, Any], remaining_s: float | None
) -> None:
    request = asking("a", " ", "b", "long c", **more)
    request.timeout.FromMilliseconds(3300)
    whole, plain = Served(), Served(max_answer_bytes=0)
    for served in (whole, plain):
        for _ in range(5):
            await served.ask(request, remaining_s=remaining_s)
    assert (whole.recalled, plain.recalled) == (3, 0)
    assert reads(whole) == reads(plain)
    assert len(reads(whole)) == 5
    assert_counted_alike(whole, plain)
    found = {
        (name, dict(labels).get("rerank_gateway_cache_result")): number
        for (name, labels), number in whole.counted().items()
    }
    assert found["rerank_gateway_cache_lookups_total", "hit"] == 4
    assert found["rerank_gateway_request_duration_seconds_count", "hit"] == 4
    assert [_without_times(each) for each in whole.lines] == [
        _without_times(each) for each in plain.lines
    ]


def _without_times(line: Any) -> Any:
    return replace(line, stages=tuple(name for name, _ in line.stages))


def assert_counted_alike(one: Served, other: Served) -> None:
    numbers, expected = one.counted(), other.counted()
    assert numbers.keys() == expected.keys()
    for key, number in numbers.items():
        # A time that was put together from others has their rounding.
        assert number == pytest.approx(expected[key], rel=1e-9), key


# The bound


async def test_the_longest_unused_makes_room() -> None:
    a, b, c = (asking(query=query) for query in "abc")
    served = await warmed(a)
    one = served.used_bytes
    served = Served(max_answer_bytes=2 * one + one // 2)
    for request in (a, b):
        await served.ask(request)
        await served.ask(request)
    assert await served.recalls(a)
    for _ in range(2):
        await served.ask(c)
    assert await served.recalls(a)
    assert await served.recalls(c)
    assert not await served.recalls(b)
    assert served.used_bytes <= 2 * one + one // 2


async def test_large_answers_stay_within_the_bound() -> None:
    most = 100_000
    served = Served(max_answer_bytes=most)
    for size in (10, 1000, 30_000, 60_000, 200_000, 10):
        for query in "abcde":
            request = asking(
                "x" * size, "b", query=query, return_documents=True, top_k=1
            )
            first = await served.ask(request)
            for _ in range(3):
                assert (await served.ask(request)).results == first.results
            assert served.used_bytes <= most
            held = sum(
                len(each.results) for each in served.answers._answers.known.values()
            )
            assert held <= served.used_bytes
    # One that has no room displaces nothing.
    before = served.used_bytes
    large = asking("x" * (most + 1), return_documents=True)
    for _ in range(3):
        assert not await served.recalls(large)
    assert served.used_bytes == before > 0


# Tenants


async def asked_by(tenant: str, served: Served, *queries: str) -> None:
    """Ask until it would be remembered as a whole."""
    with by(tenant):
        for query in queries:
            for _ in range(2):
                await served.ask(asking(query=query))


async def recalled_by(tenant: str, served: Served, *queries: str) -> list[bool]:
    with by(tenant):
        return [await served.recalls(asking(query=query)) for query in queries]


async def room_for(answers: int) -> Served:
    served = await warmed(asking(query="a"))
    return Served(max_answer_bytes=int(served.used_bytes * (answers + 0.5)))


async def test_a_greedy_tenant_pushes_no_others_answers_out() -> None:
    served = await room_for(8)
    await asked_by("modest", served, *"abcd")
    await asked_by("greedy", served, *map(chr, range(100, 120)))
    assert await recalled_by("modest", served, *"abcd") == [True] * 4
    assert await recalled_by("greedy", served, *"tuvw") == [True] * 4


async def test_alone_a_tenant_has_all_of_it_until_another_one_comes() -> None:
    served = await room_for(8)
    await asked_by("first", served, *"abcdefgh")
    assert await recalled_by("first", served, *"abcdefgh") == [True] * 8
    await asked_by("second", served, *"abcd")
    assert await recalled_by("second", served, *"abcd") == [True] * 4
    assert await recalled_by("first", served, *"efgh") == [True] * 4


async def test_what_is_more_than_its_part_displaces_nothing() -> None:
    served = await room_for(4)
    await asked_by("modest", served, *"ab")
    before = served.used_bytes
    large = asking("x" * before, "b", query="large", return_documents=True, top_k=1)
    with by("greedy"):
        for _ in range(3):
            assert not await served.recalls(large)
    assert served.used_bytes == before
    assert await recalled_by("modest", served, *"ab") == [True] * 2


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(1, 60)),
        max_size=60,
    )
)
def test_who_holds_no_more_than_its_part_loses_nothing_to_others(
    puts: list[tuple[str, int, int]],
) -> None:
    answers = _Answers(20_000)
    held: Counter[str] = Counter()
    for tenant, number, size in puts:
        before = set(answers.known)
        tenants = {*held, tenant}
        answers.put(f"{tenant}{number}".encode(), known_of(tenant, size * 100))
        lost = {key[:1].decode() for key in before - set(answers.known)} - {tenant}
        assert all(held[each] > 20_000 // len(tenants) for each in lost)
        held = Counter()
        for each in answers.known.values():
            held[each.tenant] += each.bytes
        assert held.total() == answers.used_bytes <= 20_000
        assert set(answers.ends) == {each.ends for each in answers.known.values()}


def known_of(tenant: str, size: int) -> _Known:
    return _Known(
        ends=size,
        again=lambda: True,
        results=b"x" * size,
        returned=1,
        search_method="rerank",
        message="",
        execution=Execution(outcome=Outcome.RERANKED, route="default", duration_s=0.0),
        counted=lambda *_: None,
        tenant=tenant,
    )


async def test_without_room_nothing_is_remembered() -> None:
    served = Served(max_answer_bytes=0)
    for _ in range(4):
        assert not await served.recalls(asking())
    assert served.used_bytes == 0
    assert len(served.first.asked) == 1
    # It is not even given a name, which takes a while.
    assert not served.answers.key(b"request")


@contextmanager
def allocated() -> Iterator[Callable[[], int]]:
    def now() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        yield now
    finally:
        tracemalloc.stop()


_TEXTS = [f"document {at}" for at in range(1000)]


@pytest.mark.parametrize("forgotten", [False, True], ids=["shared", "alone"])
@pytest.mark.parametrize(
    ("count", "more"),
    [
        (1, {}),
        (10, {}),
        (100, {}),
        (100, {"return_documents": True}),
        (1000, {"top_k": 1, "top_n": 1}),
    ],
)
async def test_it_takes_about_the_memory_that_it_is_counted_for(
    count: int, more: Mapping[str, Any], *, forgotten: bool
) -> None:
    # Where the memory of scores has forgotten them, nobody else keeps them alive.
    served = Served(
        max_bytes=(count if forgotten else 100_000) * BYTES_PER_ENTRY,
        max_answer_bytes=100 * MIB,
    )
    answers = 100 if count < 100 else 20
    with allocated() as now:
        for at in range(answers):
            request = asking(*_TEXTS[:count], query=f"question {at}", **more)
            await served.ask(request)
            await served.ask(request)
        del request
        served.first.asked.clear()
        assert len(served.answers._answers.known) == answers
        counted_bytes = served.used_bytes
        before = now()
        for key in [*served.answers._answers.known]:
            served.answers._answers.forget(key)
        assert not served.used_bytes
        took_bytes = before - now()
    assert counted_bytes / 1.5 < took_bytes < counted_bytes * 1.5


# Whatever happens

_texts = st.lists(
    st.sampled_from(["a", "b", "c", "long d", " "]), min_size=1, max_size=4
)
_requests = st.builds(
    lambda texts, unknown, **more: asking(*texts, **more).SerializeToString() + unknown,
    _texts,
    st.sampled_from([b"", b"", UNKNOWN_FIELD]),
    query=st.sampled_from(["why", "who"]),
    top_n=st.sampled_from([0, 0, 1]),
    top_k=st.sampled_from([None, None, 1, 2]),
    min_score=st.sampled_from([None, None, 0.5]),
    return_documents=st.booleans(),
    route=st.sampled_from(["", "both", "partial", "young", "strict"]),
    cache=st.sampled_from(
        [CacheOptions()] * 3
        + [ttl(15), ttl(300), CacheOptions(mode=BYPASS), CacheOptions(mode=REFRESH)]
    ),
)


@dataclass(frozen=True, slots=True)
class _Call:
    data: bytes
    remaining_s: float | None


@dataclass(frozen=True, slots=True)
class _Pause:
    seconds: float


@dataclass(frozen=True, slots=True)
class _Change:
    who: str
    what: str
    value: Any

    def make(self, served: Served) -> None:
        setattr(getattr(served, self.who), self.what, self.value)


_REFRESHING = Request(cache=CacheOptions(mode=REFRESH)).SerializeToString()

_Event = _Call | _Pause | _Change

_changes: list[_Event] = [
    _Change(who, what, value)
    for who in ("first", "second")
    for what, values in {
        "model": ("model", "other"),
        "revision": ("revision", "other"),
        "shift": (0.0, 1.5, -1.5),
        "is_down": (False, True, False),
        "leaves_out": (False, True, False),
    }.items()
    for value in values
]
_changes += [_Change("facts", "max_documents", most) for most in (1, 2, 9)]
_changes += [_Pause(seconds) for seconds in (1.0, 9.5, 10.0, 50.0, 95.0)]


@st.composite
def _histories(draw: st.DrawFn) -> list[_Event]:
    """Ask a few things again and again, while everything else changes now and then."""
    requests = draw(st.lists(_requests, min_size=1, max_size=3))
    calls = st.builds(
        lambda data, mode, remaining_s: _Call(data + mode, remaining_s),
        st.sampled_from(requests),
        # Two parts of one message are one: the same is asked in another mode.
        st.sampled_from([b"", b"", b"", b"", _REFRESHING]),
        st.sampled_from([None, None, 0.7, 60.0]),
    )
    # Most of the time nothing changes.
    events = st.one_of(calls, calls, calls, calls, st.sampled_from(_changes))
    return draw(st.lists(events, min_size=12, max_size=40))


async def _played(history: list[_Event], *, entries: int, listwise: bool) -> int:
    """Let two services live through the same, and compare all that they say."""
    more: Any = {"max_bytes": entries * BYTES_PER_ENTRY, "listwise": listwise}
    whole = Served(**more, max_answer_bytes=12_000)
    plain = Served(**more, max_answer_bytes=0)
    for each in history:
        if isinstance(each, _Call):
            answer = await whole.ask(each.data, remaining_s=each.remaining_s)
            expected = await plain.ask(each.data, remaining_s=each.remaining_s)
            assert timeless(answer) == timeless(expected)
            assert whole.used_bytes <= 12_000
        elif isinstance(each, _Pause):
            await asyncio.sleep(each.seconds)
        else:
            each.make(whole)
            each.make(plain)
    assert whole.first.asked == plain.first.asked
    assert whole.second.asked == plain.second.asked
    assert reads(whole) == reads(plain)
    assert [_without_times(each) for each in whole.lines] == [
        _without_times(each) for each in plain.lines
    ]
    assert_counted_alike(whole, plain)
    return whole.recalled


@pytest.mark.parametrize("listwise", [False, True])
def test_whatever_happens_nobody_can_tell_from_the_answers(*, listwise: bool) -> None:
    recalled = 0

    @settings(max_examples=300)
    @given(_histories(), st.sampled_from([2, 5, 1000]))
    def lives(history: list[_Event], entries: int) -> None:
        nonlocal recalled
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            recalled += runner.run(_played(history, entries=entries, listwise=listwise))

    lives()
    # Otherwise this would prove nothing.
    assert recalled > 300


async def test_a_score_is_given_again_to_the_last_bit() -> None:
    served = await warmed(request := asking(*map(str, range(50))))
    known, again = await served.ask(request), await served.ask(request)
    assert served.recalled == 2
    assert [struct.pack("d", each) for each in raw(known)] == [
        struct.pack("d", each) for each in raw(again)
    ]
