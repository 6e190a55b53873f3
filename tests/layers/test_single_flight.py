"""Let identical requests that come at the same time share one call."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from gateway.backends.errors import (
    Attempt,
    BackendError,
    FailureReason,
    OutOfTime,
    Overloaded,
    TooLate,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import (
    CacheMode,
    CacheWish,
    Evidence,
    Scorer,
    ScoreRequest,
    Scores,
)
from gateway.layers.record import Record
from gateway.layers.single_flight import SingleFlight
from gateway.layers.timeout import Timeout
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


def shared(scorer: Scorer) -> SingleFlight:
    facts = Facts(max_documents=8, model="m", fixed=True)
    timed = Timeout(scorer, backend="tei", attempt_s=30, fair_s=0.5)
    recorded = Record(timed, backend="tei", facts=facts, emit=lambda _: None)
    return SingleFlight(recorded, backend="tei", fair_s=0.5, emit=lambda _: None)


async def nothing_is_known(ranks: Sequence[int]) -> Sequence[Evidence | None]:
    return [None for _ in ranks]


async def together(*calls: Coroutine[Any, Any, Scores]) -> list[Scores]:
    return list(await asyncio.gather(*calls))


async def outcomes(*calls: Coroutine[Any, Any, Scores]) -> list[object]:
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def later(
    scorer: Scorer, seconds: float, *texts: str, within_s: float = 10
) -> Scores:
    await asyncio.sleep(seconds)
    return await scorer.score(asking(*texts, within_s=within_s))


# Who shares


async def test_identical_requests_share_one_call() -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = shared(backend)
    given = await together(
        *(later(scorer, place / 100, "1", "2") for place in range(5))
    )
    assert [scores.raw for scores in given] == [(1.0, 2.0)] * 5
    assert len(backend.requests) == 1


async def test_one_after_the_other_shares_nothing() -> None:
    backend = FakeScorer()
    scorer = shared(backend)
    await scorer.score(asking("1"))
    await scorer.score(asking("1"))
    assert len(backend.requests) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, query="another"),
        lambda request: replace(request, documents=request.documents[::-1]),
        lambda request: replace(request, documents=request.documents[:1]),
        lambda request: replace(request, query_embedding=(1.0, 0.0)),
        lambda request: replace(request, instruction="judge well"),
        lambda request: replace(request, depth=1),
        lambda request: replace(request, passages=3),
        lambda request: replace(request, takes_partial=True),
        lambda request: replace(request, cache=CacheWish(mode=CacheMode.REFRESH)),
        lambda request: replace(
            request,
            documents=(
                request.documents[0]._replace(embedding=(1.0,)),
                *request.documents[1:],
            ),
        ),
    ],
)
async def test_what_asks_something_else_is_asked_apart(
    change: Callable[[ScoreRequest], ScoreRequest],
) -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = shared(backend)
    request = asking("1", "2")
    await together(scorer.score(request), scorer.score(change(request)))
    assert len(backend.requests) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, deadline=request.deadline + 5),
        lambda request: replace(request, caller="somebody else"),
        lambda request: replace(request, cache=CacheWish(ttl_s=60)),
        lambda request: replace(request, asked={"a"}),
    ],
)
async def test_who_asks_and_how_long_he_waits_makes_no_difference(
    change: Callable[[ScoreRequest], ScoreRequest],
) -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = shared(backend)
    request = asking("1", "2")
    await together(scorer.score(request), scorer.score(change(request)))
    assert len(backend.requests) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda request: replace(request, lookup=nothing_is_known),
        lambda request: replace(request, cache=CacheWish(mode=CacheMode.BYPASS)),
    ],
)
async def test_what_wants_a_call_of_its_own_gets_one(
    change: Callable[[ScoreRequest], ScoreRequest],
) -> None:
    backend = FakeScorer(after(1, reads()))
    scorer = shared(backend)
    request = change(asking("1"))
    await together(scorer.score(request), scorer.score(request))
    assert len(backend.requests) == 2


async def test_everybody_gets_the_attempts_of_the_call_that_was_made_for_all() -> None:
    scorer = shared(FakeScorer(after(1, reads())))
    first, second = await together(later(scorer, 0, "1"), later(scorer, 0.5, "1"))
    assert len(first.attempts) == 1
    assert second.attempts == first.attempts


# Failures


async def test_everybody_gets_the_failure_as_an_error_of_his_own() -> None:
    scorer = shared(FakeScorer(after(1, fails(lambda: Unavailable("tei", "refused")))))
    first, second = await outcomes(later(scorer, 0, "1"), later(scorer, 0.5, "1"))
    assert isinstance(first, Unavailable)
    assert isinstance(second, Unavailable)
    assert str(first) == str(second) == "tei: refused"
    before = second.attempts
    assert len(before) == 1
    first.add(Attempt("tei", "m", None, 1.0, 1))
    first.transient = False
    assert second.attempts == before
    assert second.transient


async def test_a_failure_is_not_remembered() -> None:
    backend = FakeScorer(fails(lambda: Unavailable("tei", "refused")), reads())
    scorer = shared(backend)
    with pytest.raises(Unavailable):
        await scorer.score(asking("1"))
    assert (await scorer.score(asking("1"))).raw == (1.0,)


async def test_a_bug_reaches_everybody_as_it_is() -> None:
    async def breaks(_: FakeScorer, __: ScoreRequest) -> Scores:
        await asyncio.sleep(1)
        raise ZeroDivisionError

    scorer = shared(FakeScorer(breaks, reads()))
    first, second = await outcomes(later(scorer, 0, "1"), later(scorer, 0.5, "1"))
    assert isinstance(first, ZeroDivisionError)
    assert isinstance(second, ZeroDivisionError)
    assert (await scorer.score(asking("1"))).raw == (1.0,)


# Who waits how long


async def test_an_impatient_follower_is_out_of_time_alone() -> None:
    backend = FakeScorer(after(3, reads()))
    scorer = shared(backend)
    leader = asyncio.create_task(scorer.score(asking("1", within_s=10)))
    await asyncio.sleep(0)
    began = now()
    with pytest.raises(OutOfTime) as raised:
        await scorer.score(asking("1", within_s=1))
    assert now() - began == pytest.approx(1)
    assert not raised.value.blames_backend
    assert (await leader).raw == (1.0,)
    assert len(backend.requests) == 1


async def test_an_impatient_leader_does_not_fail_a_patient_follower() -> None:
    backend = FakeScorer(hangs(), after(2, reads()))
    scorer = shared(backend)
    impatient, patient = await outcomes(
        later(scorer, 0, "1", within_s=1), later(scorer, 0.1, "1", within_s=10)
    )
    assert isinstance(impatient, OutOfTime)
    assert isinstance(patient, Scores)
    assert [each.failure for each in patient.attempts] == [
        FailureReason.DEADLINE,
        None,
    ]


async def test_all_the_patient_ones_share_one_new_call_under_the_latest_deadline() -> (
    None
):
    backend = FakeScorer(hangs(), after(5, reads()))
    scorer = shared(backend)
    impatient, *patient = await outcomes(
        later(scorer, 0, "1", within_s=1),
        *(later(scorer, 0.1, "1", within_s=8 + place) for place in range(5)),
    )
    assert isinstance(impatient, OutOfTime)
    assert all(isinstance(each, Scores) for each in patient)
    assert len(backend.requests) == 2
    assert backend.requests[1].deadline == pytest.approx(now() - 6 + 12.1)


async def test_a_turn_that_came_too_late_for_the_leader_may_come_for_others() -> None:
    late = after(0.9, fails(lambda: TooLate("tei", "its turn came too late")))
    backend = FakeScorer(late, reads())
    scorer = shared(backend)
    impatient, patient = await outcomes(
        later(scorer, 0, "1", within_s=1), later(scorer, 0, "1", within_s=10)
    )
    assert isinstance(impatient, TooLate)
    assert isinstance(patient, Scores)


async def test_a_full_queue_is_not_asked_again() -> None:
    backend = FakeScorer(after(0.1, fails(lambda: Overloaded("tei", "8 calls wait"))))
    scorer = shared(backend)
    given = await outcomes(
        *(later(scorer, place / 1000, "1", within_s=10 + place) for place in range(9))
    )
    assert all(isinstance(each, Overloaded) for each in given)
    assert len(backend.requests) == 1


async def test_who_has_hardly_more_time_than_the_leader_does_not_ask_again() -> None:
    """They come within a moment and have a second each: one call, not two."""
    backend = FakeScorer(hangs())
    scorer = shared(backend)
    given = await outcomes(
        *(later(scorer, place / 1000, "1", within_s=1) for place in range(50))
    )
    assert all(isinstance(each, OutOfTime) for each in given)
    assert len(backend.requests) == 1


async def test_other_failures_of_the_leader_are_everybodys() -> None:
    backend = FakeScorer(after(1, fails(lambda: Unavailable("tei", "refused"))))
    scorer = shared(backend)
    await outcomes(
        later(scorer, 0, "1", within_s=2), later(scorer, 0, "1", within_s=10)
    )
    assert len(backend.requests) == 1


async def test_the_call_of_one_who_waits_alone_ends_by_its_own_time_limit() -> None:
    """Cancelled at that moment, the call would not be written down."""
    with pytest.raises(OutOfTime) as raised:
        await shared(FakeScorer(hangs())).score(asking("1", within_s=1))
    assert len(raised.value.attempts) == 1
    assert raised.value.blames_backend


# Who takes a part


def halves(*, seconds: float) -> Step:
    """Answer with the first half only, as if the time had been over."""

    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        await asyncio.sleep(seconds)
        half = len(request.documents) // 2
        raw = [float(each.text) for each in request.documents[:half]]
        return scorer.scores(*raw, *[None] * half)

    return step


async def part_of(scorer: Scorer, *texts: str, within_s: float) -> Scores:
    request = asking(*texts, within_s=within_s)
    return await scorer.score(replace(request, takes_partial=True))


async def test_a_part_is_for_those_who_have_no_more_time() -> None:
    backend = FakeScorer(halves(seconds=0.9), after(1, reads()))
    scorer = shared(backend)
    impatient, patient = await together(
        part_of(scorer, "1", "2", within_s=1), part_of(scorer, "1", "2", within_s=5)
    )
    assert impatient.raw == (1.0, None)
    assert patient.raw == (1.0, 2.0)
    assert len(impatient.attempts) == 1
    assert len(patient.attempts) == 2


async def test_a_part_is_kept_where_asking_again_brings_nothing() -> None:
    backend = FakeScorer(halves(seconds=0.9), fails(lambda: Unavailable("tei", "lost")))
    scorer = shared(backend)
    _, patient = await together(
        part_of(scorer, "1", "2", within_s=1), part_of(scorer, "1", "2", within_s=5)
    )
    assert patient.raw == (1.0, None)
    assert [each.failure for each in patient.attempts] == [
        None,
        FailureReason.UNAVAILABLE,
    ]


async def test_what_the_backend_left_out_is_not_asked_again() -> None:
    backend = FakeScorer(halves(seconds=0.9))
    scorer = shared(backend)
    await together(
        later(scorer, 0, "1", "2", within_s=1), later(scorer, 0, "1", "2", within_s=5)
    )
    assert len(backend.requests) == 1


# Who leaves


async def test_a_leader_who_leaves_does_not_end_the_call() -> None:
    backend = FakeScorer(after(2, reads()))
    scorer = shared(backend)
    leader = asyncio.create_task(scorer.score(asking("1")))
    follower = asyncio.create_task(later(scorer, 0.5, "1"))
    await asyncio.sleep(1)
    leader.cancel()
    assert (await follower).raw == (1.0,)
    assert leader.cancelled()
    assert len(backend.requests) == 1


async def test_the_last_one_to_leave_ends_the_call() -> None:
    backend = FakeScorer(hangs())
    scorer = shared(backend)
    asked = [asyncio.create_task(scorer.score(asking("1"))) for _ in range(3)]
    for leaving in asked:
        await asyncio.sleep(1)
        assert not backend.cancelled
        leaving.cancel()
    await asyncio.wait(asked)
    assert len(backend.cancelled) == 1
    assert backend.running == 0


async def test_the_last_one_to_run_out_of_time_ends_the_call() -> None:
    backend = FakeScorer(hangs())
    scorer = shared(backend)
    leader = asyncio.create_task(scorer.score(asking("1", within_s=10)))
    follower = asyncio.create_task(later(scorer, 0, "1", within_s=2))
    await asyncio.sleep(1)
    leader.cancel()
    with pytest.raises(OutOfTime):
        await follower
    assert len(backend.cancelled) == 1


async def test_nobody_boards_a_call_that_is_about_to_end() -> None:
    async def slow_to_end(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        try:
            return await hangs()(scorer, request)
        finally:
            await asyncio.sleep(1)

    backend = FakeScorer(slow_to_end, reads())
    scorer = shared(backend)
    leaving = asyncio.create_task(scorer.score(asking("1")))
    await asyncio.sleep(1)
    leaving.cancel()
    await asyncio.sleep(0.5)
    assert (await scorer.score(asking("1"))).raw == (1.0,)
    await asyncio.wait([leaving])
    assert backend.running == 0


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_comes_and_goes_nothing_is_left(seed: int) -> None:
    """Deadlines, cancellations and answers fall on the same instants, again and again."""
    chance = Random(seed)

    def choose(_: ScoreRequest) -> Step:
        failing = fails(lambda: Unavailable("tei", "refused"))
        return chance.choice([after(1, reads()), after(2, failing), hangs()])

    backend = FakeScorer(chooses(choose))
    scorer = shared(backend)

    async def call() -> None:
        await asyncio.sleep(chance.randrange(6))
        text = chance.choice("12")
        asked = asyncio.ensure_future(
            scorer.score(asking(text, within_s=chance.choice([1, 2, 3, 5])))
        )
        leaves = asyncio.get_running_loop().call_later(
            chance.choice([1, 2, 3, 100]), asked.cancel
        )
        try:
            assert (await asked).raw == (float(text),)
        except (BackendError, asyncio.CancelledError):
            pass
        finally:
            leaves.cancel()

    began = now()
    await asyncio.gather(*(call() for _ in range(40)))
    assert now() - began <= 10
    assert backend.running == 0
    assert not scorer._flights
