"""Ask only for scores that nobody remembers."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.backends.errors import BackendError, FailureReason, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import (
    CacheMode,
    Candidate,
    Evidence,
    Scorer,
    ScoreRequest,
    Scores,
)
from gateway.events import CacheRead, Event
from gateway.layers.process_memory import BYTES_PER_ENTRY
from gateway.layers.record import Record
from gateway.ranking.normalize import Scale
from tests.support.caches import (
    answered,
    cached,
    pair_keys,
    process_memory,
    texts,
    wishing,
)
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    answers,
    asking,
    chooses,
    fails,
    gives,
    hangs,
    now,
    reads,
)

PLACES = frozenset(range(2))


def asked(backend: FakeScorer) -> list[list[str]]:
    return [texts(request) for request in backend.requests]


# What is remembered


async def test_what_comes_again_asks_nobody() -> None:
    backend = FakeScorer(answered(reads(), revision="r"))
    scorer = cached(backend)
    first = await scorer.score(asking("1.5", "-2"))
    again = await scorer.score(asking("1.5", "-2"))
    assert asked(backend) == [["1.5", "-2"]]
    assert again == replace(
        first,
        cached=PLACES,
        usage=replace(first.usage, tokens=0),
        attempts=(),
    )
    assert (first.cached, first.usage.tokens) == (frozenset(), 2)


async def test_only_what_is_not_known_is_asked_for() -> None:
    backend = FakeScorer(answered(reads(), revision="r"))
    scorer = cached(backend)
    await scorer.score(asking("2", "4"))
    scores = await scorer.score(asking("1", "2", "3", "4", "5"))
    assert asked(backend) == [["2", "4"], ["1", "3", "5"]]
    assert scores.raw == (1.0, 2.0, 3.0, 4.0, 5.0)
    assert scores.cached == {1, 3}
    assert (scores.model, scores.revision) == ("fake-model", "r")
    assert scores.usage.tokens == 3
    (attempt,) = scores.attempts
    assert attempt.document_count == 3


async def test_what_is_asked_for_keeps_the_rank_and_all_else_that_it_came_with() -> (
    None
):
    backend = FakeScorer()
    scorer = cached(backend)
    await scorer.score(asking("b"))
    request = replace(asking("a", "b", "c", depth=7), caller="somebody")
    await scorer.score(request)
    sent = backend.requests[1]
    assert sent.documents == (Candidate("a", 1), Candidate("c", 3))
    assert (sent.deadline, sent.depth, sent.caller) == (request.deadline, 7, "somebody")


async def test_equal_texts_are_asked_once() -> None:
    backend = FakeScorer(answered(reads(), truncated=frozenset({1})))
    scores = await cached(backend).score(asking("1", "2", "1", "2", "2"))
    assert asked(backend) == [["1", "2"]]
    assert scores.raw == (1.0, 2.0, 1.0, 2.0, 2.0)
    assert scores.truncated == {1, 3, 4}
    assert scores.cached == frozenset()


async def test_a_truncated_document_stays_one() -> None:
    backend = FakeScorer(
        answered(reads(), truncated=frozenset({1})),
        answered(reads(), truncated=frozenset({0})),
    )
    scorer = cached(backend)
    assert (await scorer.score(asking("1", "2"))).truncated == {1}
    scores = await scorer.score(asking("2", "3", "1", "4"))
    assert asked(backend)[1] == ["3", "4"]
    assert scores.truncated == {0, 1}
    assert (await scorer.score(asking("4", "3"))).truncated == {1}


@pytest.mark.parametrize(
    "raw", [0.1 + 0.2, -0.0, 5e-324, -1.7976931348623157e308, 1 / 3]
)
async def test_a_remembered_score_is_the_very_number(raw: float) -> None:
    scorer = cached(FakeScorer(answers(raw)))
    await scorer.score(asking("a"))
    (again,) = (await scorer.score(asking("a"))).raw
    assert again is not None
    assert struct.pack("d", again) == struct.pack("d", raw)


async def test_all_from_memory_costs_no_turn_of_the_loop() -> None:
    scorer = cached(FakeScorer())
    await scorer.score(asking("1", "2"))
    call = scorer.score(asking("2", "1"))
    with pytest.raises(StopIteration) as ended:
        call.send(None)
    assert ended.value.value.raw == (2.0, 1.0)


async def test_another_question_is_another_score() -> None:
    backend = FakeScorer()
    scorer = cached(backend)
    await scorer.score(asking("a"))
    for request in (
        asking("a", query="other"),
        asking("a", instruction="other"),
        replace(asking("a"), passages=2),
    ):
        assert (await scorer.score(request)).cached == frozenset()
    assert len(backend.requests) == 4


async def test_backends_with_one_memory_do_not_hear_of_each_other() -> None:
    memory = process_memory()
    one, other = FakeScorer(answers(1.0)), FakeScorer(answers(2.0))
    first = cached(one, memory=memory, keys=pair_keys(backend="one"))
    second = cached(other, memory=memory, keys=pair_keys(backend="other"))
    await first.score(asking("a"))
    assert (await second.score(asking("a"))).raw == (2.0,)
    assert (await first.score(asking("a"))).raw == (1.0,)


async def test_what_was_forgotten_is_asked_for_again() -> None:
    backend = FakeScorer()
    scorer = cached(backend, memory=process_memory(2 * BYTES_PER_ENTRY))
    await scorer.score(asking("1", "2", "3"))
    scores = await scorer.score(asking("1", "2", "3"))
    assert scores.raw == (1.0, 2.0, 3.0)
    assert asked(backend)[1] == ["1"]


# What is not remembered


async def test_a_failure_is_not_remembered() -> None:
    backend = FakeScorer(fails(lambda: Unavailable("fake", "refused")), reads())
    scorer = cached(backend)
    with pytest.raises(Unavailable):
        await scorer.score(asking("1"))
    assert (await scorer.score(asking("1"))).raw == (1.0,)


async def test_a_failure_for_the_rest_fails_the_whole_and_keeps_what_is_known() -> None:
    backend = FakeScorer(reads(), fails(lambda: Unavailable("fake", "refused")))
    scorer = cached(backend)
    await scorer.score(asking("1"))
    with pytest.raises(Unavailable):
        await scorer.score(asking("1", "2"))
    assert (await scorer.score(asking("1"))).cached == {0}


async def test_a_document_without_a_score_is_asked_for_again() -> None:
    backend = FakeScorer(answers(1.0, None, 3.0), answers(2.0))
    scorer = cached(backend)
    assert (await scorer.score(asking("a", "b", "c"))).raw == (1.0, None, 3.0)
    scores = await scorer.score(asking("a", "b", "c"))
    assert asked(backend)[1] == ["b"]
    assert scores.raw == (1.0, 2.0, 3.0)
    assert scores.cached == {0, 2}


async def test_what_was_found_in_a_collection_is_neither_read_nor_written() -> None:
    async def lookup(ranks: Sequence[int]) -> Sequence[Evidence | None]:
        return [None for _ in ranks]

    backend = FakeScorer()
    told: list[Event] = []
    scorer = cached(backend, emit=told.append)
    for _ in range(2):
        await scorer.score(replace(asking("a"), lookup=lookup))
    assert (await scorer.score(asking("a"))).cached == frozenset()
    assert len(backend.requests) == 3
    assert len(told) == 1


async def test_a_caller_who_leaves_leaves_nothing_behind() -> None:
    backend = FakeScorer(hangs(), reads())
    scorer = cached(backend)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await scorer.score(asking("1"))
    assert len(backend.cancelled) == 1
    assert (await scorer.score(asking("1"))).cached == frozenset()


# How old it may be


async def test_a_score_is_forgotten_after_its_time() -> None:
    backend = FakeScorer()
    scorer = cached(backend, ttl_s=100)
    await scorer.score(asking("1"))
    await asyncio.sleep(89)
    hit = await scorer.score(asking("1"))
    assert hit.cached == {0}
    assert hit.oldest_s == pytest.approx(89)
    await asyncio.sleep(11)
    assert (await scorer.score(asking("1"))).cached == frozenset()


async def test_a_caller_gets_nothing_older_than_it_wants() -> None:
    backend = FakeScorer()
    scorer = cached(backend)
    await scorer.score(asking("1"))
    await asyncio.sleep(10)
    assert (await scorer.score(wishing(asking("1"), ttl_s=10.5))).cached == {0}
    await asyncio.sleep(1)
    assert (await scorer.score(wishing(asking("1"), ttl_s=10.5))).cached == frozenset()
    # That one is new.
    assert (await scorer.score(wishing(asking("1"), ttl_s=10.5))).cached == {0}


async def test_whoever_wants_only_new_scores_does_not_take_them_from_others() -> None:
    backend = FakeScorer()
    scorer = cached(backend)
    await scorer.score(wishing(asking("1"), ttl_s=1))
    await asyncio.sleep(60)
    assert (await scorer.score(asking("1"))).cached == {0}


async def test_whoever_takes_older_scores_has_them_remembered_for_longer() -> None:
    scorer = cached(FakeScorer(), ttl_s=100)
    await scorer.score(wishing(asking("1"), ttl_s=1000))
    await asyncio.sleep(500)
    assert (await scorer.score(wishing(asking("1"), ttl_s=1000))).cached == {0}
    # Who does not say is not given anything older than the setting.
    assert (await scorer.score(asking("1"))).cached == frozenset()


async def test_the_age_told_is_that_of_the_oldest_score() -> None:
    scorer = cached(FakeScorer())
    await scorer.score(asking("1"))
    await asyncio.sleep(20)
    await scorer.score(asking("2"))
    await asyncio.sleep(10)
    assert (await scorer.score(asking("2", "3"))).oldest_s == pytest.approx(10)
    assert (await scorer.score(asking("2", "1"))).oldest_s == pytest.approx(30)
    assert (await scorer.score(asking("4"))).oldest_s == 0.0


# What a caller wants of it


async def test_bypass_neither_reads_nor_writes() -> None:
    backend = FakeScorer()
    told: list[Event] = []
    scorer = cached(backend, emit=told.append)
    for _ in range(2):
        scores = await scorer.score(wishing(asking("1", "1"), CacheMode.BYPASS))
        assert scores.cached == frozenset()
    assert asked(backend) == [["1", "1"], ["1", "1"]]
    assert told == []
    assert (await scorer.score(asking("1"))).cached == frozenset()


async def test_refresh_only_writes() -> None:
    backend = FakeScorer(answers(1.0), answers(2.0))
    told: list[Event] = []
    scorer = cached(backend, emit=told.append)
    await scorer.score(asking("a"))
    fresh = await scorer.score(wishing(asking("a"), CacheMode.REFRESH))
    assert (fresh.raw, fresh.cached) == ((2.0,), frozenset())
    assert (await scorer.score(asking("a"))).raw == (2.0,)
    assert [type(event) for event in told] == [CacheRead, CacheRead]


async def test_every_look_is_told() -> None:
    told: list[Event] = []
    scorer = cached(FakeScorer(), tier="shared", emit=told.append)
    await scorer.score(asking("1", "2"))
    await scorer.score(asking("1", "2", "3"))
    await scorer.score(asking("1", "2", "3"))
    assert told == [
        CacheRead("fake", "shared", hits=0, misses=2),
        CacheRead("fake", "shared", hits=2, misses=1),
        CacheRead("fake", "shared", hits=3, misses=0),
    ]


# Another model


async def test_scores_of_two_revisions_never_stand_in_one_answer() -> None:
    backend = FakeScorer(
        answered(answers(1.0, 2.0), revision="old"),
        answered(answers(30.0), revision="new"),
        answered(answers(10.0, 20.0, 30.0), revision="new"),
    )
    scorer = cached(backend)
    await scorer.score(asking("a", "b"))
    scores = await scorer.score(asking("a", "b", "c"))
    assert asked(backend)[1:] == [["c"], ["a", "b", "c"]]
    assert scores.raw == (10.0, 20.0, 30.0)
    assert (scores.revision, scores.cached) == ("new", frozenset())
    assert scores.usage.tokens == 4
    assert [each.document_count for each in scores.attempts] == [1, 3]
    again = await scorer.score(asking("c", "b", "a"))
    assert (again.raw, again.revision) == ((30.0, 20.0, 10.0), "new")
    assert len(backend.requests) == 3


async def test_a_new_model_is_not_given_the_scores_of_the_old_one() -> None:
    backend = FakeScorer()
    scorer = cached(backend)
    await scorer.score(asking("1"))
    backend.model = "new-model"
    await scorer.score(asking("2"))
    scores = await scorer.score(asking("1"))
    assert (scores.model, scores.cached) == ("new-model", frozenset())


async def test_when_asking_for_all_fails_both_calls_are_told() -> None:
    fake = FakeScorer(
        reads(), gives(Scores((2.0,), Scale.LOGIT, "fake", "new")), _unavailable()
    )
    scorer = cached(_recorded(fake))
    await scorer.score(asking("1"))
    with pytest.raises(BackendError) as raised:
        await scorer.score(asking("1", "2"))
    failures = [attempt.failure for attempt in raised.value.attempts]
    assert failures == [None, FailureReason.UNAVAILABLE]
    # What was paid for is not lost.
    assert (await scorer.score(asking("2"))).cached == {0}


async def test_whoever_answers_the_second_time_is_believed() -> None:
    """Two replicas of two revisions do not keep a call from its answer."""
    backend = FakeScorer(
        answered(reads(), revision="old"),
        answered(reads(), revision="new"),
        answered(reads(), revision="old"),
    )
    scorer = cached(backend)
    await scorer.score(asking("1"))
    scores = await scorer.score(asking("1", "2"))
    assert (scores.raw, scores.revision) == ((1.0, 2.0), "old")
    assert len(backend.requests) == 3


def _unavailable() -> Step:
    return fails(lambda: Unavailable("fake", "refused"))


def _recorded(scorer: Scorer) -> Record:
    facts = Facts(max_documents=9, model="", fixed=True)
    return Record(scorer, backend="fake", facts=facts, emit=lambda _: None)


# Models that compare


def _counts() -> FakeScorer:
    """Judge a document by how many companions it has."""

    def choose(request: ScoreRequest) -> Step:
        count = len(request.documents)
        return answers(*[float(count)] * count)

    return FakeScorer(chooses(choose))


async def test_a_listwise_answer_is_remembered_as_a_whole() -> None:
    backend = _counts()
    scorer = cached(backend, listwise=True)
    first = await scorer.score(asking("a", "b", "a"))
    again = await scorer.score(asking("a", "b", "a"))
    assert again.raw == first.raw == (3.0, 3.0, 3.0)
    assert again.cached == {0, 1, 2}
    assert asked(backend) == [["a", "b", "a"]]


@pytest.mark.parametrize("other", [("b", "a"), ("a",), ("a", "b", "c"), ("a", "x")])
async def test_other_companions_or_another_order_ask_for_all(
    other: tuple[str, ...],
) -> None:
    backend = _counts()
    scorer = cached(backend, listwise=True)
    await scorer.score(asking("a", "b"))
    scores = await scorer.score(asking(*other))
    assert scores.cached == frozenset()
    assert asked(backend)[1] == list(other)


async def test_a_listwise_answer_of_which_a_part_is_forgotten_is_no_answer() -> None:
    backend = _counts()
    scorer = cached(backend, listwise=True, memory=process_memory(2 * BYTES_PER_ENTRY))
    await scorer.score(asking("a", "b", "c"))
    scores = await scorer.score(asking("a", "b", "c"))
    assert scores.cached == frozenset()
    assert asked(backend)[1] == ["a", "b", "c"]


async def test_the_halves_of_two_listwise_answers_are_no_answer() -> None:
    backend = FakeScorer(answers(1.0, 2.0), answers(None, 20.0), answers(5.0, 6.0))
    scorer = cached(backend, listwise=True)
    await scorer.score(asking("a", "b"))
    await asyncio.sleep(1)
    await scorer.score(wishing(asking("a", "b"), CacheMode.REFRESH))
    assert (await scorer.score(asking("a", "b"))).raw == (5.0, 6.0)


async def test_answers_that_came_together_do_not_leave_together() -> None:
    scorer = cached(FakeScorer(), ttl_s=100)
    for place in range(100):
        await scorer.score(asking("1", "2", query=f"query {place}"))
    await asyncio.sleep(95)
    left = [
        (await scorer.score(asking("1", "2", query=f"query {place}"))).cached
        for place in range(100)
    ]
    assert 30 < left.count(PLACES) < 70
    # What one of them said leaves together: to ask for half of it takes a call as well.
    assert set(left) == {PLACES, frozenset()}


# Two tiers


async def test_a_second_process_answers_from_the_work_of_the_first() -> None:
    shared = process_memory()
    backend, idle = FakeScorer(answered(reads(), revision="r")), FakeScorer()
    first = cached(cached(backend, memory=shared, tier="shared"))
    second = cached(cached(idle, memory=shared, tier="shared"))
    one = await first.score(asking("1", "2"))
    other = await second.score(asking("2", "1"))
    assert other.raw == one.raw[::-1]
    assert (other.model, other.revision) == (one.model, "r")
    assert other.cached == PLACES
    assert idle.requests == []


async def test_a_score_does_not_become_younger_by_passing_from_tier_to_tier() -> None:
    shared = process_memory()
    backend = FakeScorer()
    first = cached(cached(backend, memory=shared, ttl_s=100), ttl_s=100)
    second = cached(cached(backend, memory=shared, ttl_s=100), ttl_s=100)
    await first.score(asking("1"))
    await asyncio.sleep(80)
    assert (await second.score(asking("1"))).oldest_s == pytest.approx(80)
    await asyncio.sleep(20)
    assert (await second.score(asking("1"))).cached == frozenset()


async def test_the_process_remembers_what_the_shared_memory_told() -> None:
    shared = process_memory()
    told: list[Event] = []
    await cached(FakeScorer(), memory=shared).score(asking("1"))
    scorer = cached(
        cached(FakeScorer(), memory=shared, tier="shared", emit=told.append)
    )
    for _ in range(3):
        assert (await scorer.score(asking("1"))).cached == {0}
    assert len(told) == 1


async def test_equal_texts_are_all_from_memory_if_one_is() -> None:
    shared = process_memory()
    await cached(FakeScorer(), memory=shared).score(asking("1"))
    scorer = cached(cached(FakeScorer(), memory=shared, tier="shared"))
    scores = await scorer.score(asking("1", "2", "1"))
    assert scores.raw == (1.0, 2.0, 1.0)
    assert scores.cached == {0, 2}


# Replay


async def test_four_in_five_candidates_again_ask_a_quarter_and_change_nothing() -> None:
    """Successive requests share 80 % of their candidates, in another order each."""
    chance = Random(7)
    judge = chooses(
        lambda request: answers(
            *(_judged(request.query, text) for text in texts(request))
        )
    )
    plain, backend = FakeScorer(judge), FakeScorer(after(0.05, judge))
    scorer = cached(backend)
    pool = iter(range(1_000_000))
    current = [f"document {next(pool)}" for _ in range(100)]
    for _ in range(100):
        kept = chance.sample(current, 80)
        current = kept + [f"document {next(pool)}" for _ in range(20)]
        chance.shuffle(current)
        request = asking(*current)
        expected = await plain.score(request)
        scores = await scorer.score(request)
        assert scores.raw == expected.raw
        assert (scores.scale, scores.model) == (expected.scale, expected.model)
        await asyncio.sleep(chance.random())
    assert sum(backend.sizes) <= 0.25 * sum(plain.sizes)


def _judged(query: str, text: str) -> float:
    return Random(f"{query}|{text}").gauss(0, 4)


async def test_calls_at_once_share_one_memory_without_mixing_their_answers() -> None:
    backend = FakeScorer(
        chooses(
            lambda request: after(
                Random(str(texts(request))).random(),
                answers(*(_judged(request.query, text) for text in texts(request))),
            )
        )
    )
    scorer = cached(backend, memory=process_memory(40 * BYTES_PER_ENTRY), ttl_s=3)
    chance = Random(5)

    async def call(query: str, wanted: list[str]) -> None:
        await asyncio.sleep(10 * Random(str(wanted)).random())
        scores = await scorer.score(asking(*wanted, query=query, within_s=30))
        assert scores.raw == tuple(_judged(query, text) for text in wanted)

    pool = [f"document {number}" for number in range(30)]
    began = now()
    await asyncio.gather(
        *(
            call(f"query {chance.randrange(3)}", chance.choices(pool, k=10))
            for _ in range(200)
        )
    )
    assert now() - began < 12
    assert sum(backend.sizes) < 2000


# Whether an answer would be the same again


async def remembered(
    scorer: Scorer, *documents: str, **more: Any
) -> Callable[[], bool]:
    """Ask twice, and give what tells whether a third time would be the same."""
    request = wishing(asking(*documents), **more)
    assert (await scorer.score(request)).again is None
    again = (await scorer.score(request)).again
    assert again
    return again


async def test_what_was_all_remembered_would_be_the_same_again() -> None:
    told: list[Event] = []
    backend = FakeScorer()
    again = await remembered(cached(backend, emit=told.append), "1", "2", "1")
    assert again()
    assert again()
    assert len(backend.requests) == 1
    # As often as a look into the memory would be.
    hits = [CacheRead("fake", "process", hits=3, misses=0)] * 3
    assert told == [CacheRead("fake", "process", hits=0, misses=3), *hits]


async def test_what_would_not_be_the_same_is_no_look_into_the_memory() -> None:
    told: list[Event] = []
    scorer = cached(FakeScorer(), emit=told.append)
    again = await remembered(scorer, "1", "2")
    await scorer.score(wishing(asking("2"), CacheMode.REFRESH))
    count = len(told)
    assert not again()
    assert len(told) == count


async def test_a_part_from_memory_says_nothing_about_the_next_time() -> None:
    scorer = cached(FakeScorer())
    await scorer.score(asking("1"))
    assert (await scorer.score(asking("1", "2"))).again is None
    for mode in (CacheMode.BYPASS, CacheMode.REFRESH):
        assert (await scorer.score(wishing(asking("1"), mode))).again is None


@pytest.mark.parametrize(("ttl_s", "young_s"), [(None, 100.0), (20.0, 20.0)])
async def test_it_would_not_once_a_score_is_too_old(
    ttl_s: float | None, young_s: float
) -> None:
    scorer = cached(FakeScorer(), ttl_s=100)
    await scorer.score(asking("1"))
    await asyncio.sleep(5)
    request = wishing(asking("1", "2"), ttl_s=ttl_s)
    await scorer.score(request)
    again = (await scorer.score(request)).again
    assert again
    await asyncio.sleep(young_s * 0.89 - 5)
    assert again()
    # The older of the two decides.
    await asyncio.sleep(young_s * 0.11)
    assert not again()


async def test_it_would_not_once_a_score_was_forgotten_for_want_of_room() -> None:
    scorer = cached(FakeScorer(), memory=process_memory(2 * BYTES_PER_ENTRY))
    again = await remembered(scorer, "1", "2")
    await scorer.score(asking("3"))
    assert not again()


async def test_to_tell_so_keeps_scores_from_being_forgotten() -> None:
    scorer = cached(FakeScorer(), memory=process_memory(3 * BYTES_PER_ENTRY))
    again = await remembered(scorer, "1", "2")
    await scorer.score(asking("3"))
    assert again()
    await scorer.score(asking("4"))  # displaces the third
    assert again()


async def test_it_would_not_once_another_model_answers() -> None:
    backend = FakeScorer()
    scorer = cached(backend)
    again = await remembered(scorer, "1")
    backend.model = "new-model"
    await scorer.score(asking("2"))
    assert not again()
    backend.model = "fake-model"
    await scorer.score(asking("3"))
    assert again()


async def test_a_lower_tier_does_not_speak_for_a_higher_one() -> None:
    shared = process_memory()
    both = cached(cached(FakeScorer(), memory=shared, tier="shared"))
    await cached(FakeScorer(), memory=shared).score(asking("1", "2", "3"))
    # All of it from the lower tier; then a part of it, the rest from the upper one.
    assert (await both.score(asking("1"))).again is None
    mixed = await both.score(asking("1", "2", "3"))
    assert mixed.cached == {0, 1, 2}
    assert mixed.again is None
    assert (await both.score(asking("1", "2", "3"))).again


async def test_of_a_memory_that_waits_nobody_can_tell() -> None:
    inside = process_memory()

    class Elsewhere:
        """As one in another process."""

        judge, get, put = inside.judge, inside.get, inside.put

    scorer = cached(FakeScorer(), memory=Elsewhere())
    for _ in range(3):
        scores = await scorer.score(asking("1"))
        assert scores.again is None
    assert scores.cached == {0}


async def test_of_listwise_answers_it_tells_whether_each_score_is_still_of_that_one() -> (
    None
):
    scorer = cached(_counts(), listwise=True)
    again = await remembered(scorer, "a", "b")
    await scorer.score(asking("b", "a"))
    assert again()
    await scorer.score(wishing(asking("a", "b"), CacheMode.REFRESH))
    assert not again()
