"""Why a layer stands above one that is not its neighbour, as `stack` says it.

For neighbours see `test_stack_order.py`.
"""

import asyncio
from dataclasses import replace

import pytest

from gateway.backends.errors import CircuitOpen, Overloaded, Unavailable
from gateway.events import Event
from gateway.ranking.passages import WORDS
from tests.support.scorers import (
    FakeScorer,
    after,
    asking,
    chooses,
    hangs,
    now,
    reads,
)
from tests.support.stacks import (
    LONG,
    attempts_in,
    is_down,
    process_only,
    reads_in,
    refuses_long,
    stacked,
)

# Depth above all


async def test_what_is_beyond_the_depth_is_neither_asked_nor_counted() -> None:
    told: list[Event] = []
    leaf = FakeScorer()
    scores = await stacked(leaf, told=told, top_k=3).score(asking(*map(str, range(6))))
    assert leaf.sizes == [2, 1]
    assert sum(each.attempt.document_count for each in attempts_in(told)) == 3
    assert scores.complete
    assert scores.beyond == 3


async def test_a_long_document_beyond_the_depth_costs_nothing() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    await stacked(leaf, top_k=2).score(asking("1", "2", LONG))
    assert leaf.sizes == [2]


async def test_a_set_is_remembered_as_it_was_asked_whatever_is_beyond_its_depth() -> (
    None
):
    scorer = stacked(FakeScorer(), chunk=3, listwise=True, memories=process_only())
    await scorer.score(asking("1", "2", "3", "4"))
    scores = await scorer.score(asking("1", "2", "3", "5", "6"))
    assert scores.cached == {0, 1, 2}


# Cache above Passages, Limit and Breaker


async def test_a_split_document_is_remembered_as_a_whole() -> None:
    told: list[Event] = []
    scorer = stacked(FakeScorer(), told=told, memories=process_only())
    request = replace(asking("word " * 2 * WORDS, "1"), passages=10)
    await scorer.score(request)
    await scorer.score(request)
    assert reads_in(told) == [("process", 0, 2), ("process", 2, 0)]


async def test_what_is_remembered_needs_no_turn() -> None:
    leaf = FakeScorer(reads(), after(1, reads()))
    scorer = stacked(leaf, in_flight=1, queued=0, memories=process_only())
    await scorer.score(asking("1"))
    held = asyncio.create_task(scorer.score(asking("2")))
    await asyncio.sleep(0.5)
    assert leaf.running == 1
    assert (await scorer.score(asking("1"))).complete
    await held


async def test_what_is_remembered_is_given_where_the_circuit_is_open() -> None:
    scorer = stacked(
        FakeScorer(reads(), is_down()),
        failures_in_a_row=1,
        retries=1,
        memories=process_only(),
    )
    await scorer.score(asking("1"))
    with pytest.raises(CircuitOpen):
        await scorer.score(asking("2"))
    assert (await scorer.score(asking("1"))).complete


# Chunk above Retry, Hedge and Limit


async def test_only_the_chunk_that_failed_is_asked_again() -> None:
    leaf = FakeScorer(reads(), is_down(), reads())
    assert (await stacked(leaf, chunk=1).score(asking("1", "2", "3"))).complete
    firsts = [request.documents[0].text for request in leaf.requests]
    assert firsts == ["1", "2", "3", "2"]


async def test_only_the_chunk_that_is_late_gets_a_second_attempt() -> None:
    leaf = FakeScorer(reads(), hangs(), reads())
    scorer = stacked(leaf, chunk=1, hedge_after_s=1.0)
    assert (await scorer.score(asking("1", "2", "3"))).complete
    firsts = [request.documents[0].text for request in leaf.requests]
    assert firsts == ["1", "2", "3", "2"]


async def test_chunks_of_one_request_count_as_the_calls_that_they_are() -> None:
    leaf = FakeScorer(after(0.5, reads()))
    scorer = stacked(leaf, chunk=1, in_flight=3)
    await scorer.score(asking(*map(str, range(9))))
    assert leaf.most_running == 3


# Shorten above Limit


async def test_asking_again_takes_a_turn_like_any_other_call() -> None:
    leaf = FakeScorer(after(0.1, chooses(refuses_long)))
    scorer = stacked(leaf, in_flight=1)
    await asyncio.gather(*(scorer.score(asking(LONG, query=each)) for each in "abc"))
    assert leaf.queries == [*"abcabc"]
    assert leaf.most_running == 1


# Hedge above Limit and Breaker


async def test_a_second_attempt_takes_a_turn_like_any_other_call() -> None:
    leaf = FakeScorer(after(1.5, reads()))
    scorer = stacked(leaf, hedge_after_s=1.0, in_flight=1)
    await scorer.score(asking("1"))
    assert leaf.most_running == 1


async def test_a_second_attempt_is_not_made_through_an_open_circuit() -> None:
    leaf = FakeScorer(after(1.5, reads()), is_down())
    scorer = stacked(leaf, hedge_after_s=1.0, failures_in_a_row=1, retries=0)
    slow = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0.5)
    with pytest.raises(Unavailable):
        await scorer.score(asking("2"))
    assert (await slow).complete
    assert len(leaf.requests) == 2


# Limit above Record and Timeout


async def test_waiting_for_a_turn_is_not_taken_for_the_backends_slowness() -> None:
    told: list[Event] = []
    leaf = FakeScorer(after(1.5, reads()))
    scorer = stacked(leaf, told=told, in_flight=1, timeout_s=2.0)
    began = now()
    await asyncio.gather(*(scorer.score(asking(each)) for each in "1234"))
    assert now() - began == pytest.approx(6.0)
    durations = [each.attempt.duration_s for each in attempts_in(told)]
    assert durations == pytest.approx([1.5] * 4)


async def test_a_call_that_was_never_made_is_not_written_down() -> None:
    told: list[Event] = []
    scorer = stacked(FakeScorer(after(1, reads())), told=told, in_flight=1, queued=0)
    held = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await scorer.score(asking("2"))
    assert told == []
    await held
