"""Split a request that is larger than its backend takes, and join the answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.backends.errors import (
    Attempt,
    BackendError,
    Excess,
    FailureReason,
    Malformed,
    OutOfTime,
    Overloaded,
    TimedOut,
    TooLarge,
    TooLate,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.layers.chunk import Chunk
from gateway.layers.limit import Limit
from gateway.layers.record import Record
from gateway.layers.timeout import Timeout
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


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def takes(most: int, *, tells: bool = True) -> Step:
    """Refuse every call with more than so many documents."""

    def choose(request: ScoreRequest) -> Step:
        given = len(request.documents)
        if given <= most:
            return reads()
        limit = most if tells else None
        return fails(
            lambda: TooLarge("fake", Excess.DOCUMENTS, given=given, limit=limit)
        )

    return chooses(choose)


def chunked(scorer: Scorer, size: int = 2, *, fixed: bool = False) -> Chunk:
    facts = Facts(max_documents=size, model="", fixed=fixed)
    return Chunk(scorer, facts=facts, reserve_s=0.1)


def recorded(scorer: Scorer) -> Record:
    facts = Facts(max_documents=1, model="fake-model", fixed=True)
    return Record(scorer, backend="fake", facts=facts, emit=lambda _: None)


# What fits and what does not


async def test_what_fits_is_asked_in_one_call() -> None:
    backend = FakeScorer()
    scores = await chunked(backend, 3).score(asking("1", "2", "3"))
    assert backend.sizes == [3]
    assert scores.raw == (1.0, 2.0, 3.0)


async def test_chunks_keep_the_positions_of_their_documents() -> None:
    backend = FakeScorer()
    scores = await chunked(backend, 3).score(asking(*numbers(8)))
    assert backend.sizes == [3, 3, 2]
    assert scores.raw == tuple(float(number) for number in range(8))


async def test_a_chunk_keeps_everything_else_of_the_request() -> None:
    backend = FakeScorer()
    whole = asking(*numbers(3), query="why", instruction="judge well")
    await chunked(backend, 2).score(whole)
    first, second = backend.requests
    assert first == replace(whole, documents=whole.documents[:2])
    assert second == replace(whole, documents=whole.documents[2:])


async def test_all_chunks_are_asked_at_once() -> None:
    backend = FakeScorer(after(1, reads()))
    began = now()
    await chunked(backend, 2).score(asking(*numbers(8)))
    assert backend.most_running == 4
    assert now() - began == pytest.approx(1)


async def test_what_the_chunks_say_is_added_up() -> None:
    def part(*raw: float | None, cut: int, tokens: int) -> Step:
        return gives(
            Scores(
                raw=raw,
                scale=FakeScorer().scale,
                backend="fake",
                model="m",
                truncated=frozenset({cut}),
                usage=Usage(search_units=1.0, tokens=tokens),
            )
        )

    backend = FakeScorer(part(1.0, None, cut=1, tokens=5), part(2.0, cut=0, tokens=7))
    scores = await chunked(backend, 2).score(asking("a", "b", "c"))
    assert scores.raw == (1.0, None, 2.0)
    assert scores.truncated == {1, 2}
    assert scores.usage == Usage(search_units=2.0, tokens=12)
    assert scores.model == "m"
    assert not scores.complete


async def test_every_call_is_accounted_for() -> None:
    scores = await chunked(recorded(FakeScorer()), 2).score(asking(*numbers(5)))
    assert [each.document_count for each in scores.attempts] == [2, 2, 1]


# Failures


async def test_one_failing_chunk_cancels_and_awaits_its_siblings() -> None:
    def choose(request: ScoreRequest) -> Step:
        if request.documents[0].text == "2":
            return after(1, fails(lambda: Unavailable("fake", "lost")))
        return hangs()

    backend = FakeScorer(chooses(choose))
    with pytest.raises(Unavailable, match="lost"):
        await chunked(backend, 2).score(asking(*numbers(6)))
    assert len(backend.cancelled) == 2
    assert backend.running == 0


async def test_a_failure_tells_of_the_chunks_that_had_answered() -> None:
    def choose(request: ScoreRequest) -> Step:
        if request.documents[0].text == "0":
            return reads()
        return after(1, fails(lambda: Unavailable("fake", "lost")))

    with pytest.raises(Unavailable) as raised:
        await chunked(recorded(FakeScorer(chooses(choose))), 2).score(
            asking("0", "1", "2")
        )
    assert [each.failure for each in raised.value.attempts] == [
        None,
        FailureReason.UNAVAILABLE,
    ]


async def test_cancellation_reaches_every_chunk() -> None:
    backend = FakeScorer(hangs())
    asked = asyncio.create_task(chunked(backend, 2).score(asking(*numbers(6))))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(backend.cancelled) == 3
    assert backend.running == 0


async def test_parts_of_different_models_are_never_joined() -> None:
    one, other = FakeScorer(model="m1"), FakeScorer(model="m2")
    backend = FakeScorer(gives(one.scores(1.0)), gives(other.scores(2.0)))
    with pytest.raises(Malformed, match="different models"):
        await chunked(backend, 1).score(asking("a", "b"))


async def test_a_failure_other_than_size_is_not_asked_again() -> None:
    backend = FakeScorer(fails(lambda: Overloaded("fake", "full")))
    with pytest.raises(Overloaded):
        await chunked(backend, 4).score(asking(*numbers(4)))
    assert backend.sizes == [4]


# Refusals for size


async def test_a_call_with_too_many_documents_is_split_to_what_the_backend_names() -> (
    None
):
    backend = FakeScorer(takes(3))
    scores = await chunked(recorded(backend), 100).score(asking(*numbers(8)))
    assert backend.sizes == [8, 3, 3, 2]
    assert scores.raw == tuple(float(number) for number in range(8))
    assert [each.failure for each in scores.attempts] == [
        FailureReason.TOO_LARGE,
        None,
        None,
        None,
    ]


async def test_what_the_backend_names_is_remembered() -> None:
    backend = FakeScorer(takes(3))
    scorer = chunked(backend, 100)
    await scorer.score(asking(*numbers(4)))
    backend.requests.clear()
    await scorer.score(asking(*numbers(6)))
    assert backend.sizes == [3, 3]


async def test_what_is_configured_is_not_forgotten_for_what_a_backend_names() -> None:
    backend = FakeScorer(takes(3))
    scorer = chunked(backend, 8, fixed=True)
    await scorer.score(asking(*numbers(8)))
    assert backend.sizes == [8, 4, 2, 2, 4, 2, 2]
    backend.requests.clear()
    await scorer.score(asking(*numbers(4)))
    assert backend.sizes == [4, 2, 2]


async def test_a_refusal_without_a_number_is_halved_until_it_fits() -> None:
    backend = FakeScorer(takes(2, tells=False))
    scores = await chunked(backend, 100).score(asking(*numbers(7)))
    assert backend.sizes == [7, 4, 2, 2, 3, 2, 1]
    assert scores.raw == tuple(float(number) for number in range(7))


async def test_a_bound_that_cannot_be_true_still_ends() -> None:
    absurd = fails(lambda: TooLarge("fake", Excess.DOCUMENTS, given=4, limit=1000))
    backend = FakeScorer(absurd)
    with pytest.raises(TooLarge):
        await chunked(backend, 4).score(asking(*numbers(4)))
    assert backend.sizes == [4, 2, 1]


async def test_a_persistent_refusal_is_asked_only_a_few_times() -> None:
    backend = FakeScorer(fails(lambda: TooLarge("fake", Excess.BYTES)))
    with pytest.raises(TooLarge):
        await chunked(backend, 1000).score(asking(*numbers(1000)))
    assert backend.sizes == [1000, 500, 250, 125, 63, 32, 16, 8, 4, 2, 1]


async def test_a_single_document_that_is_too_large_fails_the_whole() -> None:
    backend = FakeScorer(fails(lambda: TooLarge("fake", Excess.BYTES)))
    with pytest.raises(TooLarge):
        await chunked(backend, 8).score(asking("a"))
    assert backend.sizes == [1]


async def test_splitting_is_no_cure_for_a_text_that_is_too_long() -> None:
    backend = FakeScorer(fails(lambda: TooLarge("fake", Excess.TOKENS)))
    with pytest.raises(TooLarge):
        await chunked(backend, 8).score(asking(*numbers(8)))
    assert backend.sizes == [8]


async def test_a_failure_after_a_split_tells_of_the_refusal_too() -> None:
    refused = fails(lambda: TooLarge("fake", Excess.DOCUMENTS, given=2, limit=1))
    backend = FakeScorer(
        refused, answers(1.0), fails(lambda: Unavailable("fake", "lost"))
    )
    with pytest.raises(BackendError) as raised:
        await chunked(recorded(backend), 8).score(asking("a", "b"))
    assert [each.failure for each in raised.value.attempts] == [
        FailureReason.TOO_LARGE,
        None,
        FailureReason.UNAVAILABLE,
    ]
    assert all(isinstance(each, Attempt) for each in raised.value.attempts)


# A part, where the time is over


def partial(*texts: str, within_s: float = 10.0) -> ScoreRequest:
    return replace(asking(*texts, within_s=within_s), takes_partial=True)


def slowly(seconds: dict[str, float]) -> FakeScorer:
    """Take so long over the chunk that begins with a text; no time over others."""

    def choose(request: ScoreRequest) -> Step:
        return after(seconds.get(request.documents[0].text, 0.0), reads())

    return FakeScorer(chooses(choose))


async def test_what_was_scored_is_given_when_the_time_is_over() -> None:
    backend = slowly({"4": 99, "6": 99})
    began = now()
    scores = await chunked(recorded(backend)).score(partial(*numbers(8)))
    assert now() - began == pytest.approx(9.9)
    assert scores.raw == (0.0, 1.0, 2.0, 3.0, None, None, None, None)
    assert not scores.complete
    assert len(backend.cancelled) == 2
    assert backend.running == 0


async def test_what_was_scored_behind_a_gap_is_given_too_to_be_remembered() -> None:
    scores = await chunked(recorded(slowly({"2": 99}))).score(partial(*numbers(6)))
    assert scores.raw == (0.0, 1.0, None, None, 4.0, 5.0)


async def test_a_chunk_that_was_given_up_is_accounted_for() -> None:
    scores = await chunked(recorded(slowly({"2": 99}))).score(partial(*numbers(5)))
    assert [(each.failure, each.document_count) for each in scores.attempts] == [
        (None, 2),
        (None, 1),
        (FailureReason.DEADLINE, 2),
    ]
    given_up = scores.attempts[-1]
    assert given_up.backend == "fake"
    assert given_up.duration_s == pytest.approx(9.9)


async def test_without_the_first_chunk_there_is_no_beginning() -> None:
    backend = slowly({"0": 99})
    timed = Timeout(backend, backend="fake", attempt_s=60, fair_s=0.5)
    began = now()
    with pytest.raises(OutOfTime):
        await chunked(timed).score(partial(*numbers(6)))
    assert now() - began == pytest.approx(10)
    assert backend.running == 0


async def test_the_first_chunk_may_take_all_of_the_time() -> None:
    scores = await chunked(slowly({"0": 9.95, "4": 9.97})).score(partial(*numbers(6)))
    assert scores.raw == (0.0, 1.0, 2.0, 3.0, None, None)


async def test_all_that_is_there_in_time_is_given_whole() -> None:
    began = now()
    scores = await chunked(slowly({"2": 5})).score(partial(*numbers(6)))
    assert now() - began == pytest.approx(5)
    assert scores.complete


async def test_a_part_is_given_only_to_those_who_take_one() -> None:
    timed = Timeout(slowly({"2": 99}), backend="fake", attempt_s=60, fair_s=0.5)
    with pytest.raises(OutOfTime):
        await chunked(timed).score(asking(*numbers(6)))


async def test_what_fits_into_one_call_has_no_parts() -> None:
    timed = Timeout(slowly({"0": 99}), backend="fake", attempt_s=60, fair_s=0.5)
    with pytest.raises(OutOfTime):
        await chunked(timed).score(partial("0", "1"))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Unavailable("fake", "lost"),
        lambda: Overloaded("fake", "8 calls wait for it"),
        lambda: TimedOut("fake", 1.0, had_fair_chance=True),
    ],
)
async def test_any_other_failure_still_fails_the_whole(
    make: Callable[[], BackendError],
) -> None:
    def choose(request: ScoreRequest) -> Step:
        return after(1, fails(make)) if request.documents[0].text == "4" else reads()

    began = now()
    with pytest.raises(type(make())):
        await chunked(FakeScorer(chooses(choose))).score(partial(*numbers(8)))
    assert now() - began == pytest.approx(1)


async def test_chunks_after_a_gap_are_given_up_at_once() -> None:
    def choose(request: ScoreRequest) -> Step:
        match request.documents[0].text:
            case "0":
                return after(3, reads())
            case "2":
                return after(1, fails(lambda: TooLate("fake", "no turn in time")))
        return hangs()

    backend = FakeScorer(chooses(choose))
    began = now()
    scores = await chunked(recorded(backend)).score(partial(*numbers(8)))
    assert now() - began == pytest.approx(3)
    assert scores.raw == (0.0, 1.0, *[None] * 6)
    assert [str(each.failure) for each in scores.attempts] == [
        "OVERLOADED",
        "None",
        "DEADLINE",
        "DEADLINE",
    ]


async def test_a_second_try_without_a_turn_shows_as_lack_of_time() -> None:
    def too_late() -> TooLate:
        error = TooLate("fake", "no turn in time")
        error.add(Attempt("fake", "m", FailureReason.UNAVAILABLE, 0.1, 2))
        return error

    def choose(request: ScoreRequest) -> Step:
        return fails(too_late) if request.documents[0].text == "2" else reads()

    scores = await chunked(FakeScorer(chooses(choose))).score(partial(*numbers(4)))
    assert [each.failure for each in scores.attempts] == [
        FailureReason.UNAVAILABLE,
        FailureReason.DEADLINE,
    ]


async def test_whoever_cannot_have_a_turn_for_all_chunks_gets_those_he_can() -> None:
    backend = slowly({str(number): 1.0 for number in range(12)})
    limit = Limit(backend, backend="fake", in_flight=2, queued=64)
    scorer = chunked(limit)
    await scorer.score(asking(*numbers(2)))
    began = now()
    scores = await scorer.score(partial(*numbers(12), within_s=2.5))
    assert now() - began == pytest.approx(2)
    assert scores.raw == (*(float(n) for n in range(8)), *[None] * 4)


async def test_a_caller_who_leaves_ends_all_parts() -> None:
    backend = FakeScorer(hangs())
    asked = asyncio.create_task(chunked(backend).score(partial(*numbers(6))))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(backend.cancelled) == 3
    assert backend.running == 0
