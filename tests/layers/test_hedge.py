"""Ask a second time where the first answer is slow, and take what comes first."""

import asyncio
from dataclasses import replace

import pytest

from gateway.backends.errors import (
    BackendError,
    FailureReason,
    Malformed,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.events import Event, Hedged
from gateway.layers.budget import Budget
from gateway.layers.hedge import Hedge
from gateway.layers.latency import Latency
from gateway.layers.record import Record
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    answers,
    asking,
    fails,
    gives,
    hangs,
    now,
    reads,
)

NO_ANSWER = FailureReason.TIMEOUT


def moving() -> Latency:
    return Latency(quantile=0.95, last=100, enough=20)


def hedged(
    scorer: Scorer,
    *,
    delay_s: float | None = 0.1,
    latency: Latency | None = None,
    budget: Budget | None = None,
    told: list[Event] | None = None,
) -> Hedge:
    facts = Facts(max_documents=8, model="fake-model", fixed=True)
    return Hedge(
        Record(scorer, backend="tei", facts=facts, emit=lambda _: None),
        backend="tei",
        delay_s=delay_s,
        latency=latency or moving(),
        budget=budget or Budget(share=0.1, initial=100, most=100),
        emit=told.append if told is not None else lambda _: None,
    )


def breaks(detail: str = "refused") -> Step:
    return fails(lambda: Unavailable("tei", detail))


# Who wins


async def test_a_quick_answer_is_asked_for_once() -> None:
    backend = FakeScorer(after(0.09, reads()))
    told: list[Event] = []
    scores = await hedged(backend, told=told).score(asking("1"))
    assert scores.raw == (1.0,)
    assert len(backend.requests) == 1
    assert not told


async def test_a_slow_one_is_overtaken_by_the_second_attempt() -> None:
    backend = FakeScorer(after(2, answers(1.0)), after(0.05, answers(2.0)))
    told: list[Event] = []
    began = now()
    scores = await hedged(backend, told=told).score(asking("a"))
    assert scores.raw == (2.0,)
    assert now() - began == pytest.approx(0.15)
    assert told == [Hedged("tei", won=True)]


async def test_the_loser_is_cancelled_and_awaited() -> None:
    backend = FakeScorer(hangs(), reads())
    await hedged(backend).score(asking("1"))
    assert len(backend.cancelled) == 1
    assert backend.running == 0


async def test_the_loser_is_an_attempt_that_did_not_answer() -> None:
    backend = FakeScorer(after(2, reads()), after(0.05, reads()))
    scores = await hedged(backend).score(asking("1", "2"))
    won, lost = scores.attempts
    assert (won.failure, lost.failure) == (None, NO_ANSWER)
    assert lost.duration_s == pytest.approx(0.15)
    assert (lost.backend, lost.model, lost.document_count) == ("tei", "fake-model", 2)


async def test_the_first_attempt_may_still_win() -> None:
    backend = FakeScorer(after(0.2, answers(1.0)), after(2, answers(2.0)))
    told: list[Event] = []
    scores = await hedged(backend, told=told).score(asking("a"))
    assert scores.raw == (1.0,)
    assert [each.failure for each in scores.attempts] == [None, NO_ANSWER]
    assert told == [Hedged("tei", won=False)]
    assert backend.running == 0


async def test_two_answers_of_the_same_moment_are_both_accounted_for() -> None:
    def billed(number: float) -> Step:
        return gives(replace(FakeScorer().scores(number), usage=Usage(tokens=5)))

    backend = FakeScorer(after(0.5, billed(1.0)), after(0.25, billed(2.0)))
    scores = await hedged(backend, delay_s=0.25).score(asking("a"))
    assert scores.raw == (1.0,)
    assert [each.failure for each in scores.attempts] == [None, None]
    assert scores.usage == Usage(tokens=10)


async def test_an_answer_goes_before_a_failure_of_the_same_moment() -> None:
    backend = FakeScorer(after(0.5, breaks()), after(0.25, answers(2.0)))
    scores = await hedged(backend, delay_s=0.25).score(asking("a"))
    assert scores.raw == (2.0,)
    assert sorted(str(each.failure) for each in scores.attempts) == [
        "None",
        "UNAVAILABLE",
    ]


# Failures


async def test_a_failure_before_the_delay_is_nobodys_to_hedge() -> None:
    backend = FakeScorer(after(0.05, breaks()), reads())
    with pytest.raises(Unavailable):
        await hedged(backend).score(asking("1"))
    assert len(backend.requests) == 1


@pytest.mark.parametrize(
    ("first", "second", "won"),
    [
        (after(0.2, breaks()), after(1, answers(7.0)), True),
        (after(1, answers(7.0)), after(0.2, breaks()), False),
    ],
)
async def test_when_one_attempt_fails_the_other_one_is_waited_for(
    first: Step, second: Step, *, won: bool
) -> None:
    told: list[Event] = []
    scores = await hedged(FakeScorer(first, second), told=told).score(asking("a"))
    assert scores.raw == (7.0,)
    assert [each.failure for each in scores.attempts] == [
        FailureReason.UNAVAILABLE,
        None,
    ]
    assert told == [Hedged("tei", won=won)]


async def test_when_both_fail_the_later_error_tells_of_both() -> None:
    broken = fails(lambda: Malformed("tei", "no scores"))
    backend = FakeScorer(after(3, broken), after(1, breaks()))
    told: list[Event] = []
    with pytest.raises(Malformed) as raised:
        await hedged(backend, told=told).score(asking("1"))
    assert [each.failure for each in raised.value.attempts] == [
        FailureReason.UNAVAILABLE,
        FailureReason.MALFORMED,
    ]
    assert told == [Hedged("tei", won=False)]


@pytest.mark.parametrize("leaves_after_s", [0.05, 0.1, 0.5])
async def test_a_caller_who_leaves_takes_both_attempts_along(
    leaves_after_s: float,
) -> None:
    backend = FakeScorer(hangs())
    asked = asyncio.create_task(hedged(backend).score(asking("1")))
    await asyncio.sleep(leaves_after_s)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(backend.cancelled) == len(backend.requests)
    assert backend.running == 0


async def test_a_caller_who_is_cancelled_twice_leaves_nothing_behind() -> None:
    async def stubborn(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        try:
            return await hangs()(scorer, request)
        finally:
            await asyncio.sleep(1)

    backend = FakeScorer(stubborn)
    asked = asyncio.create_task(hedged(backend).score(asking("1")))
    await asyncio.sleep(0.5)
    asked.cancel()
    await asyncio.sleep(0.5)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert backend.running == 0


# When


async def test_nothing_is_hedged_before_enough_is_known() -> None:
    backend = FakeScorer(after(3, reads()))
    scorer = hedged(backend, delay_s=None)
    await scorer.score(asking("1"))
    assert len(backend.requests) == 1


async def test_the_delay_is_what_only_the_slower_answers_exceed() -> None:
    backend = FakeScorer(*[after(0.1, reads())] * 20, hangs(), after(0.02, reads()))
    scorer = hedged(backend, delay_s=None)
    for _ in range(20):
        await scorer.score(asking("1"))
    assert len(backend.requests) == 20
    began = now()
    await scorer.score(asking("1"))
    assert now() - began == pytest.approx(0.11 + 0.02)


async def test_nothing_is_hedged_that_would_come_after_the_deadline() -> None:
    backend = FakeScorer(after(0.3, reads()))
    await hedged(backend, delay_s=0.2).score(asking("1", within_s=0.2))
    assert len(backend.requests) == 1


async def test_a_loser_counts_as_slow() -> None:
    latency = moving()
    for _ in range(20):
        latency.observe(0.05)
    backend = FakeScorer(*[hangs(), after(0.5, reads())] * 2)
    scorer = hedged(backend, latency=latency, delay_s=0.1)
    await scorer.score(asking("1"))
    await scorer.score(asking("1"))
    assert latency.slow_s() == pytest.approx(0.6)


async def test_a_loser_that_hardly_began_says_nothing_about_speed() -> None:
    latency = Latency(quantile=0.01, last=100, enough=1)
    backend = FakeScorer(after(0.101, reads()), hangs())
    await hedged(backend, latency=latency, delay_s=0.1).score(asking("1"))
    assert latency.slow_s() == pytest.approx(0.101)


async def test_a_failure_says_nothing_about_speed() -> None:
    latency = Latency(quantile=0.5, last=10, enough=1)
    with pytest.raises(BackendError):
        await hedged(FakeScorer(breaks()), latency=latency).score(asking("1"))
    assert latency.slow_s() is None


async def test_without_a_token_the_first_attempt_is_waited_for() -> None:
    backend = FakeScorer(after(3, reads()))
    told: list[Event] = []
    scorer = hedged(backend, budget=Budget(share=0.1, initial=0, most=10), told=told)
    assert (await scorer.score(asking("1"))).raw == (1.0,)
    assert len(backend.requests) == 1
    assert not told


async def test_both_attempts_know_where_the_other_one_went() -> None:
    backend = FakeScorer(hangs(), reads())
    await hedged(backend).score(asking("1"))
    first, second = backend.requests
    assert first.asked is not None
    assert first.asked is second.asked
