"""What the order of the layers around one backend is for."""

import asyncio
from random import Random
from typing import Any

import pytest

from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    FailureReason,
    Overloaded,
    TimedOut,
    TooLarge,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest
from gateway.compose import NO_MEMORIES, Leaf, Surroundings, stack
from gateway.events import AttemptEnded, Event
from gateway.ranking.normalize import Scale
from gateway.settings import BackendSettings
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    asking,
    chooses,
    fails,
    hangs,
    now,
    reads,
)

LONG = "word " * 800


def stacked(
    leaf: Scorer,
    *,
    told: list[Event] | None = None,
    chunk: int = 2,
    in_flight: int = 8,
    queued: int = 8,
    timeout_s: float = 2.0,
    top_k: int = 100,
    max_tokens: int | None = 512,
    listwise: bool = False,
    **more: Any,
) -> Scorer:
    return stack(
        Leaf(
            scorers=(leaf,),
            facts=Facts(max_documents=chunk, model="m", fixed=True),
            scale=Scale.LOGIT,
            listwise=listwise,
            in_flight=in_flight,
            top_k=top_k,
            top_k_found=top_k,
            max_tokens=max_tokens,
            cuts_pairs=False,
        ),
        name="fake",
        settings=BackendSettings(
            dialect="simple", timeout_s=timeout_s, max_queued=queued, **more
        ),
        around=Surroundings(
            NO_MEMORIES, Random(7), (told if told is not None else []).append
        ),
    )


def refuses_long(request: ScoreRequest) -> Step:
    longest = max(len(each.text) for each in request.documents)
    if longest > 2048:
        return fails(lambda: TooLarge("fake", Excess.TOKENS, given=1000, limit=512))
    return reads()


async def test_waiting_for_a_turn_is_not_taken_for_the_backends_slowness() -> None:
    told: list[Event] = []
    leaf = FakeScorer(after(1.5, reads()))
    scorer = stacked(leaf, told=told, in_flight=1, timeout_s=2.0)
    began = now()
    await asyncio.gather(*(scorer.score(asking(each)) for each in "1234"))
    assert now() - began == pytest.approx(6.0)
    durations = [e.attempt.duration_s for e in told if isinstance(e, AttemptEnded)]
    assert durations == pytest.approx([1.5] * 4)


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


async def test_a_call_that_was_never_made_is_not_written_down() -> None:
    told: list[Event] = []
    scorer = stacked(FakeScorer(after(1, reads())), told=told, in_flight=1, queued=0)
    held = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await scorer.score(asking("2"))
    assert told == []
    await held


async def test_chunks_of_one_request_count_as_the_calls_that_they_are() -> None:
    leaf = FakeScorer(after(0.5, reads()))
    scorer = stacked(leaf, chunk=1, in_flight=3)
    await scorer.score(asking(*map(str, range(9))))
    assert leaf.most_running == 3


async def test_only_the_chunk_with_the_long_document_is_asked_again() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    scores = await stacked(leaf).score(asking("1", "2", "3", LONG, "5"))
    firsts = sorted(request.documents[0].text for request in leaf.requests)
    assert firsts == ["1", "3", "3", "5"]
    assert scores.truncated == {3}
    assert scores.complete


async def test_asking_again_takes_a_turn_like_any_other_call() -> None:
    leaf = FakeScorer(after(0.1, chooses(refuses_long)))
    scorer = stacked(leaf, in_flight=1)
    await asyncio.gather(*(scorer.score(asking(LONG, query=each)) for each in "abc"))
    assert len(leaf.requests) == 6
    assert leaf.most_running == 1


async def test_a_backend_that_cuts_by_itself_is_not_asked_again() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    with pytest.raises(TooLarge):
        await stacked(leaf, max_tokens=None).score(asking(LONG))
    assert len(leaf.requests) == 1


async def test_what_is_beyond_the_depth_is_neither_asked_nor_counted() -> None:
    told: list[Event] = []
    leaf = FakeScorer()
    scores = await stacked(leaf, told=told, top_k=3).score(asking(*map(str, range(6))))
    assert leaf.sizes == [2, 1]
    assert (
        sum(e.attempt.document_count for e in told if isinstance(e, AttemptEnded)) == 3
    )
    assert scores.complete
    assert scores.beyond == 3


async def test_a_long_document_beyond_the_depth_costs_nothing() -> None:
    leaf = FakeScorer(chooses(refuses_long))
    await stacked(leaf, top_k=2).score(asking("1", "2", LONG))
    assert leaf.sizes == [2]


async def test_a_listwise_backend_is_asked_once_and_about_what_it_takes_together() -> (
    None
):
    leaf = FakeScorer()
    scores = await stacked(leaf, chunk=3, listwise=True).score(
        asking(*map(str, range(5)))
    )
    assert leaf.sizes == [3]
    assert scores.raw == (0.0, 1.0, 2.0, None, None)


async def test_one_chunk_that_is_late_gives_the_slots_of_all_back() -> None:
    def choose(request: ScoreRequest) -> Step:
        return hangs() if request.documents[0].text == "0" else after(9, reads())

    leaf = FakeScorer(chooses(choose))
    scorer = stacked(leaf, in_flight=3, queued=0, timeout_s=1.0, chunk=1)
    with pytest.raises(TimedOut):
        await scorer.score(asking("0", "1", "2"))
    assert leaf.running == 0
    quick = stacked(FakeScorer(), in_flight=3, queued=0, chunk=1)
    assert (await quick.score(asking("7", "8", "9"))).complete
    with pytest.raises(BackendError):
        await scorer.score(asking("0", "1", "2"))
