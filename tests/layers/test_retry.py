"""Ask again after a failure that may be gone a little later."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest

from gateway.backends.errors import (
    BackendError,
    CircuitOpen,
    FailureReason,
    Internal,
    Malformed,
    OutOfTime,
    Overloaded,
    RateLimited,
    Rejected,
    TimedOut,
    TooLate,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.events import Event, Retried
from gateway.layers.budget import Budget
from gateway.layers.record import Record
from gateway.layers.retry import Retry
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    asking,
    fails,
    hangs,
    now,
    reads,
)


def refused() -> BackendError:
    return Unavailable("tei", "refused")


def busy(retry_after_s: float | None) -> Callable[[], BackendError]:
    return lambda: RateLimited("tei", "HTTP 429", retry_after_s=retry_after_s)


def down() -> Step:
    return fails(refused)


def retried(
    scorer: Scorer,
    *,
    most: int = 2,
    pause_s: float = 0.1,
    longest_pause_s: float = 1.0,
    budget: Budget | None = None,
    seed: int = 1,
    told: list[Event] | None = None,
) -> Retry:
    return Retry(
        scorer,
        backend="tei",
        most=most,
        pause_s=pause_s,
        longest_pause_s=longest_pause_s,
        fair_s=0.5,
        budget=budget or Budget(share=0.1, initial=100, most=100),
        chance=Random(seed),
        emit=told.append if told is not None else lambda _: None,
    )


def recorded(scorer: Scorer) -> Record:
    facts = Facts(max_documents=8, model="m", fixed=True)
    return Record(scorer, backend="tei", facts=facts, emit=lambda _: None)


# What is asked again


async def test_an_answer_passes_as_it_is() -> None:
    backend = FakeScorer()
    told: list[Event] = []
    assert (await retried(backend, told=told).score(asking("1"))).raw == (1.0,)
    assert len(backend.requests) == 1
    assert not told


async def test_a_failure_that_is_gone_is_the_callers_no_more() -> None:
    backend = FakeScorer(down(), reads())
    told: list[Event] = []
    scores = await retried(recorded(backend), told=told).score(asking("1"))
    assert scores.raw == (1.0,)
    assert [each.failure for each in scores.attempts] == [
        FailureReason.UNAVAILABLE,
        None,
    ]
    assert told == [Retried("tei", FailureReason.UNAVAILABLE)]


async def test_a_failure_that_stays_is_asked_only_so_often() -> None:
    backend = FakeScorer(down())
    with pytest.raises(Unavailable) as raised:
        await retried(recorded(backend), most=3).score(asking("1"))
    assert len(backend.requests) == 4
    assert [each.failure for each in raised.value.attempts] == [
        FailureReason.UNAVAILABLE
    ] * 4


async def test_the_last_error_stands() -> None:
    backend = FakeScorer(down(), fails(lambda: Rejected("tei", "HTTP 400")))
    with pytest.raises(Rejected) as raised:
        await retried(recorded(backend)).score(asking("1"))
    assert [each.failure for each in raised.value.attempts] == [
        FailureReason.UNAVAILABLE,
        FailureReason.REJECTED,
    ]


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rejected("tei", "HTTP 400"),
        lambda: Malformed("tei", "no scores"),
        lambda: Internal("tei", "a bug"),
        lambda: Unavailable("tei", "loading", loading=True),
        lambda: Unavailable("tei", "no such host", permanent=True),
        lambda: Overloaded("tei", "8 calls wait for it"),
        lambda: TooLate("tei", "its turn came too late"),
        lambda: CircuitOpen("tei", "failed too often"),
        lambda: OutOfTime("tei", 1.0, had_fair_chance=True),
        busy(None),
    ],
)
async def test_a_failure_that_asking_again_would_not_cure_is_left_alone(
    make: Callable[[], BackendError],
) -> None:
    backend = FakeScorer(fails(make))
    began = now()
    with pytest.raises(BackendError):
        await retried(backend).score(asking("1"))
    assert len(backend.requests) == 1
    assert now() == began


async def test_an_attempt_that_took_its_whole_time_is_not_repeated() -> None:
    backend = FakeScorer(fails(lambda: TimedOut("tei", 1.0, had_fair_chance=True)))
    with pytest.raises(TimedOut):
        await retried(backend).score(asking("1"))
    assert len(backend.requests) == 1


async def test_the_next_try_knows_where_the_one_before_it_went() -> None:
    backend = FakeScorer(down(), reads())
    await retried(backend).score(asking("1"))
    first, second = backend.requests
    assert first.asked is not None
    assert first.asked is second.asked


async def test_two_calls_do_not_keep_each_other_from_a_replica() -> None:
    backend = FakeScorer()
    scorer = retried(backend)
    request = asking("1")
    await scorer.score(request)
    await scorer.score(request)
    first, second = backend.requests
    assert first.asked is not second.asked


# When


async def test_the_pause_doubles_up_to_its_bound_and_chance_shortens_it() -> None:
    moments: list[float] = []

    def noted() -> BackendError:
        moments.append(now())
        return refused()

    scorer = retried(FakeScorer(fails(noted)), most=5, pause_s=0.1, longest_pause_s=0.5)
    with pytest.raises(Unavailable):
        await scorer.score(asking("1"))
    pauses_s = [after - before for before, after in pairwise(moments)]
    for pause_s, longest_s in zip(pauses_s, [0.1, 0.2, 0.4, 0.5, 0.5], strict=True):
        assert longest_s / 2 <= pause_s <= longest_s
    assert len({round(pause_s, 6) for pause_s in pauses_s}) == 5


async def test_calls_that_failed_together_do_not_return_together() -> None:
    moments: list[float] = []

    def noted() -> BackendError:
        moments.append(now())
        return refused()

    scorer = retried(FakeScorer(fails(noted)), most=1)
    await asyncio.gather(
        *(scorer.score(asking("1")) for _ in range(10)), return_exceptions=True
    )
    assert len(set(moments[:10])) == 1
    assert len(set(moments[10:])) == 10


async def test_a_backend_is_left_alone_for_as_long_as_it_asks() -> None:
    backend = FakeScorer(fails(busy(3.0)), reads())
    began = now()
    scores = await retried(backend, pause_s=0.1).score(asking("1", within_s=10))
    assert scores.raw == (1.0,)
    assert 3.0 <= now() - began <= 3.1


async def test_calls_that_are_told_the_same_time_do_not_return_together() -> None:
    moments: list[float] = []

    def noted() -> BackendError:
        moments.append(now())
        return busy(3.0)()

    scorer = retried(FakeScorer(fails(noted)), most=1)
    await asyncio.gather(
        *(scorer.score(asking("1")) for _ in range(10)), return_exceptions=True
    )
    assert len(set(moments[10:])) == 10


async def test_one_that_asks_for_more_time_than_there_is_fails_at_once() -> None:
    backend = FakeScorer(fails(busy(9.6)))
    began = now()
    with pytest.raises(RateLimited):
        await retried(backend).score(asking("1", within_s=10))
    assert now() == began
    assert len(backend.requests) == 1


async def test_no_try_begins_without_a_fair_share_of_time() -> None:
    late = after(9.45, down())  # half a second would be fair, and 0.05 s are the pause
    backend = FakeScorer(late)
    began = now()
    with pytest.raises(Unavailable):
        await retried(backend).score(asking("1", within_s=10))
    assert len(backend.requests) == 1
    assert now() - began == pytest.approx(9.45)


async def test_cancellation_ends_a_pause() -> None:
    backend = FakeScorer(fails(busy(5.0)), reads())
    asked = asyncio.create_task(retried(backend).score(asking("1")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(backend.requests) == 1


async def test_cancellation_ends_a_try() -> None:
    backend = FakeScorer(down(), hangs())
    asked = asyncio.create_task(retried(backend).score(asking("1")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(backend.cancelled) == 1


# How often


async def test_without_a_token_a_failure_is_just_a_failure() -> None:
    backend = FakeScorer(down())
    scorer = retried(backend, budget=Budget(share=0.1, initial=0, most=10))
    with pytest.raises(Unavailable):
        await scorer.score(asking("1"))
    assert len(backend.requests) == 1


async def test_every_call_earns_a_share_of_a_token() -> None:
    budget = Budget(share=0.25, initial=0, most=10)
    scorer = retried(FakeScorer(), budget=budget)
    for _ in range(4):
        assert not budget.take()
        await scorer.score(asking("1"))
    assert budget.take()


async def test_what_would_not_be_asked_again_takes_no_token() -> None:
    budget = Budget(share=0.0, initial=1, most=10)
    scorer = retried(FakeScorer(fails(busy(None))), budget=budget)
    with pytest.raises(RateLimited):
        await scorer.score(asking("1"))
    assert budget.take()
