"""Why each layer stands above the next one: whoever swaps two neighbours fails here.

    Depth ▸ TextAlone ▸ Beginning ▸ Cache(process) ▸ Cache(shared) ▸ SingleFlight ▸
    Passages ▸ Chunk ▸ Shorten ▸ Retry ▸ Hedge ▸
    Balance[ Limit ▸ Breaker ▸ Record ▸ Timeout ▸ server ]

Each pair of neighbours has a section, but for Beginning, which may stand on either side
of TextAlone, and of Depth. Depth adds documents without a score at the end, where
Beginning leaves them as they are; TextAlone changes nothing that Beginning looks at; and
nothing else that one of them changes is looked at by the other. What holds of layers
further apart is in `test_stack_order_apart.py`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

import gateway.layers.passages
from gateway.backends.errors import (
    BackendState,
    CircuitOpen,
    FailureReason,
    TimedOut,
    Unavailable,
)
from gateway.backends.scorer import Evidence, ScoreRequest
from gateway.compose.memories import memories
from gateway.events import AttemptEnded, Event, Retried
from gateway.layers.process_memory import ProcessMemory
from gateway.ranking.passages import WORDS, split
from gateway.settings import CacheSettings
from tests.support.caches import process_memory, texts, wishing
from tests.support.scorers import (
    FakeScorer,
    Step,
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
    sharing,
    stacked,
)

SPLIT = "word " * 2 * WORDS
"""A document of several passages."""


def partly(request: ScoreRequest) -> ScoreRequest:
    return replace(request, takes_partial=True)


def splitting(request: ScoreRequest) -> ScoreRequest:
    return replace(request, passages=10)


def hangs_at(text: str) -> Step:
    """Never answer a call about this document, and any other one at once."""
    return chooses(lambda request: hangs() if text in texts(request) else reads())


# Beginning ▸ Cache(process)


# Depth above TextAlone, and TextAlone above the caches


def found(request: ScoreRequest) -> ScoreRequest:
    """Ask about documents that were found in a collection."""

    async def look_up(ranks: Sequence[int]) -> Sequence[Evidence | None]:
        return [None for _ in ranks]

    return replace(request, lookup=look_up, query_embedding=(0.6, 0.8), space="own")


async def test_more_is_scored_of_what_was_found_where_texts_alone_are_judged() -> None:
    leaf = FakeScorer()
    scorer = stacked(leaf, chunk=100, top_k=2, top_k_found=4)
    await scorer.score(found(asking(*"123456")))
    await scorer.score(asking(*"123456"))
    assert leaf.sizes == [4, 2]


async def test_what_a_search_asked_is_remembered_for_all_where_texts_alone_are_judged() -> (
    None
):
    leaf = FakeScorer()
    scorer = stacked(leaf, chunk=100, memories=process_only())
    await scorer.score(found(asking("1", "2")))
    again = await scorer.score(found(asking("1", "2", "3")))
    anybody = await scorer.score(asking("3", "2"))
    assert leaf.sizes == [2, 1]
    assert (len(again.cached), len(anybody.cached)) == (2, 2)


async def test_searches_that_ask_the_same_share_a_call_where_texts_alone_are_judged() -> (
    None
):
    leaf = FakeScorer(after(1, reads()))
    scorer = stacked(leaf, chunk=100)
    await asyncio.gather(*(scorer.score(found(asking("1"))) for _ in range(3)))
    assert leaf.sizes == [1]


async def test_who_asks_the_collection_is_told_where_documents_were_found() -> None:
    leaf = FakeScorer()
    scorer = stacked(leaf, memories=process_only(), asks_collection=True)
    for _ in range(2):
        await scorer.score(found(asking("1")))
    assert [each.space for each in leaf.requests] == ["own", "own"]
    assert all(each.lookup and each.query_embedding for each in leaf.requests)


# Beginning above the caches


async def test_what_is_remembered_behind_a_gap_is_not_given() -> None:
    scorer = stacked(FakeScorer(hangs_at("3")), timeout_s=20, memories=process_only())
    await scorer.score(asking("5"))
    scores = await scorer.score(partly(asking("1", "2", "3", "4", "5")))
    assert scores.raw == (1.0, 2.0, None, None, None)
    assert scores.cached == frozenset()


async def test_what_came_behind_a_gap_is_remembered() -> None:
    leaf = FakeScorer(hangs_at("2"))
    scorer = stacked(leaf, chunk=1, timeout_s=20, memories=process_only())
    first = await scorer.score(partly(asking("1", "2", "3")))
    assert first.raw == (1.0, None, None)
    again = await scorer.score(asking("1", "3"))
    assert again.cached == {0, 1}


# Cache(process) ▸ Cache(shared)


async def test_what_the_process_remembers_is_not_looked_up_in_the_shared_memory() -> (
    None
):
    told: list[Event] = []
    scorer = stacked(FakeScorer(), told=told, memories=sharing(process_memory()))
    await scorer.score(asking("1"))
    await scorer.score(asking("1"))
    assert reads_in(told) == [("process", 0, 1), ("shared", 0, 1), ("process", 1, 0)]


async def test_the_shared_memory_is_asked_only_for_what_the_process_lacks() -> None:
    told: list[Event] = []
    scorer = stacked(FakeScorer(), told=told, memories=sharing(process_memory()))
    await scorer.score(asking("1", "2"))
    told.clear()
    await scorer.score(asking("1", "2", "3"))
    assert reads_in(told) == [("process", 2, 1), ("shared", 0, 1)]


async def test_memories_as_configured_are_asked_in_this_order_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Shared(ProcessMemory):
        def __init__(self, **_: Any) -> None:
            super().__init__(max_bytes=1_000_000)

        @asynccontextmanager
        async def running(self) -> AsyncIterator[None]:
            yield

        async def probe(self) -> str:
            return ""

    monkeypatch.setattr("gateway.layers.redis_memory.RedisMemory", Shared)
    told: list[Event] = []
    settings = CacheSettings(
        url="redis://localhost:1/0", key_env="KEY", key=SecretStr("x" * 32)
    )
    async with AsyncExitStack() as parts:
        built = await memories(settings, emit=told.append, parts=parts)
        await stacked(FakeScorer(), told=told, memories=built).score(asking("1"))
    assert reads_in(told) == [("process", 0, 1), ("shared", 0, 1)]


# Cache(shared) ▸ SingleFlight


async def test_requests_that_lack_the_same_documents_share_one_call() -> None:
    shared = process_memory()
    await stacked(FakeScorer(), memories=sharing(shared)).score(asking("1", "9"))
    leaf = FakeScorer(after(1, reads()))
    scorer = stacked(leaf, memories=sharing(shared))
    answers = await asyncio.gather(
        scorer.score(asking("1", "2", "3")), scorer.score(asking("9", "2", "3"))
    )
    assert [each.raw for each in answers] == [(1.0, 2.0, 3.0), (9.0, 2.0, 3.0)]
    assert [texts(request) for request in leaf.requests] == [["2", "3"]]


async def test_what_is_remembered_by_now_does_not_wait_for_a_call_under_way() -> None:
    shared = process_memory()
    scorer = stacked(
        FakeScorer(after(5, reads())), timeout_s=9, memories=sharing(shared)
    )
    under_way = asyncio.create_task(scorer.score(asking("1", "2")))
    await asyncio.sleep(1)
    await stacked(FakeScorer(), memories=sharing(shared)).score(asking("1", "2"))
    began = now()
    assert (await scorer.score(asking("1", "2"))).cached == {0, 1}
    assert now() == began
    await under_way


async def test_who_wants_fresh_scores_does_not_share_what_another_one_recalls() -> None:
    shared = process_memory()
    await stacked(FakeScorer(), memories=sharing(shared)).score(asking("1"))
    await asyncio.sleep(100)
    leaf = FakeScorer(after(1, reads()))
    scorer = stacked(leaf, memories=sharing(shared))
    anyhow, fresh = await asyncio.gather(
        scorer.score(asking("1", "2")),
        scorer.score(wishing(asking("1", "2"), ttl_s=10)),
    )
    assert anyhow.oldest_s == pytest.approx(101)
    assert fresh.oldest_s == 0
    assert fresh.cached == frozenset()


# SingleFlight ▸ Passages


async def test_a_document_is_split_once_for_all_who_ask_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def counting(text: str, *, most: int) -> tuple[list[str], bool]:
        asked.append(text)
        return split(text, most=most)

    monkeypatch.setattr(gateway.layers.passages, "split", counting)
    scorer = stacked(FakeScorer(after(1, reads())))
    await asyncio.gather(*(scorer.score(splitting(asking(SPLIT))) for _ in range(3)))
    assert asked == [SPLIT]


async def test_passages_that_were_judged_twice_are_counted_twice() -> None:
    passages, _ = split(SPLIT, most=10)
    count = len(passages)
    # The first call for "1" ends with the time of who began it, the second one answers.
    leaf = FakeScorer(*[reads()] * count, hangs(), reads())
    scorer = stacked(leaf, chunk=1, timeout_s=20)
    request = partly(splitting(asking(SPLIT, "1", within_s=2)))
    patient = replace(request, deadline=now() + 9)
    hurried, whole = await asyncio.gather(scorer.score(request), scorer.score(patient))
    assert not hurried.complete
    assert hurried.usage.passages == count
    assert whole.complete
    assert leaf.sizes == [1] * 2 * (count + 1)
    assert whole.usage.passages == 2 * count


# Passages ▸ Chunk


async def test_a_split_document_never_makes_a_call_larger_than_the_backend_takes() -> (
    None
):
    leaf = FakeScorer()
    await stacked(leaf, chunk=2).score(splitting(asking(SPLIT, "1", SPLIT)))
    passages, _ = split(SPLIT, most=10)
    assert sum(leaf.sizes) == 2 * len(passages) + 1
    assert max(leaf.sizes) == 2


# Chunk ▸ Shorten


async def test_only_the_chunk_with_the_long_document_is_asked_again() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    scores = await stacked(leaf).score(asking("1", "2", "3", LONG, "5"))
    firsts = sorted(request.documents[0].text for request in leaf.requests)
    assert firsts == ["1", "3", "3", "5"]
    assert scores.truncated == {3}
    assert scores.complete


# Shorten ▸ Retry


async def test_a_retry_repeats_what_was_shortened_and_not_what_was_refused() -> None:
    leaf = FakeScorer(chooses(refuses_long), is_down(), chooses(refuses_long))
    scores = await stacked(leaf).score(asking(LONG))
    refused, failed, answered = (texts(request) for request in leaf.requests)
    assert refused == [LONG]
    assert answered == failed != refused
    assert scores.truncated == {0}


async def test_what_was_shortened_has_retries_of_its_own() -> None:
    leaf = FakeScorer(is_down(), chooses(refuses_long), is_down(), reads())
    assert (await stacked(leaf, retries=1).score(asking(LONG))).complete
    assert len(leaf.requests) == 4


# Retry ▸ Hedge


async def test_a_retry_gets_the_whole_delay_before_it_is_hedged() -> None:
    leaf = FakeScorer(after(0.8, is_down()), hangs(), reads())
    scorer = stacked(leaf, hedge_after_s=1.0, timeout_s=20)
    assert (await scorer.score(asking("1"))).complete
    _, retry, hedge = leaf.began
    assert hedge - retry == pytest.approx(1.0)


async def test_two_attempts_that_both_failed_are_retried_once() -> None:
    told: list[Event] = []
    leaf = FakeScorer(after(1.5, is_down()), is_down(), after(0.7, reads()))
    scorer = stacked(leaf, told=told, hedge_after_s=1.0, retries=1)
    assert (await scorer.score(asking("1"))).complete
    assert len(leaf.requests) == 3
    assert told.count(Retried("fake", FailureReason.UNAVAILABLE)) == 1


# Hedge ▸ Balance


async def test_a_second_attempt_goes_to_another_server() -> None:
    servers = [FakeScorer(after(1.5, reads())) for _ in range(2)]
    await stacked(*servers, hedge_after_s=1.0).score(asking("1"))
    assert [len(each.requests) for each in servers] == [1, 1]


# Balance ▸ Limit


async def test_what_one_server_has_to_do_takes_no_turn_of_another_one() -> None:
    servers = [FakeScorer(after(1, reads())) for _ in range(2)]
    scorer = stacked(*servers, in_flight=1, queued=0)
    await asyncio.gather(*(scorer.score(asking(each)) for each in "12"))
    assert [len(each.requests) for each in servers] == [1, 1]


async def test_a_server_gets_no_more_calls_at_once_where_another_one_is_out() -> None:
    out, works = FakeScorer(is_down()), FakeScorer(after(1, reads()))
    scorer = stacked(out, works, in_flight=2, failures_in_a_row=1, cooldown_s=60)
    for each in "12":
        await scorer.score(asking(each))
    await asyncio.gather(*(scorer.score(asking(each)) for each in "345678"))
    assert len(out.requests) == 1
    assert works.most_running == 2


# Limit ▸ Breaker


async def test_who_waits_while_the_circuit_opens_is_not_let_through() -> None:
    leaf = FakeScorer(after(1, is_down()))
    scorer = stacked(leaf, in_flight=1, failures_in_a_row=1, retries=0)
    first, second = await asyncio.gather(
        *(scorer.score(asking(each)) for each in "12"), return_exceptions=True
    )
    assert isinstance(first, Unavailable)
    assert isinstance(second, CircuitOpen)
    assert len(leaf.requests) == 1


async def test_who_gives_up_in_our_own_queue_does_not_blame_the_backend() -> None:
    scorer = stacked(
        FakeScorer(after(1.5, reads())), in_flight=1, failures_in_a_row=1, fair_s=0.5
    )
    asked = asyncio.create_task(scorer.score(asking("1")))
    waits = asyncio.create_task(scorer.score(asking("2")))
    await asyncio.sleep(1)
    waits.cancel()
    await asyncio.wait([waits])
    await asked
    assert (await scorer.score(asking("3"))).complete


# Breaker ▸ Record


async def test_a_call_that_the_circuit_refused_is_not_written_down() -> None:
    told: list[Event] = []
    leaf = FakeScorer(after(1, is_down()))
    scorer = stacked(leaf, told=told, in_flight=1, failures_in_a_row=1, retries=0)
    # The second one waits for its turn: an open circuit that Balance sees is not asked.
    _, refused = await asyncio.gather(
        *(scorer.score(asking(each)) for each in "12"), return_exceptions=True
    )
    assert isinstance(refused, CircuitOpen)
    assert refused.attempts == ()
    assert len(attempts_in(told)) == len(leaf.requests) == 1


# Record ▸ Timeout


async def test_a_call_that_took_too_long_is_written_down_as_one() -> None:
    told: list[Event] = []
    with pytest.raises(TimedOut) as raised:
        await stacked(FakeScorer(hangs()), told=told).score(asking("1"))
    (attempt,) = raised.value.attempts
    assert attempt.failure is FailureReason.TIMEOUT
    assert attempt.duration_s == pytest.approx(2.0)
    assert told == [
        AttemptEnded(attempt, "fake: no answer in 2.00 s", BackendState.UNREACHABLE)
    ]
