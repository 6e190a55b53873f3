"""Give a backend only so long to answer."""

import asyncio

import pytest

from gateway.backends.errors import OutOfTime, TimedOut, Unavailable
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.layers.timeout import Timeout
from tests.support.scorers import (
    FakeScorer,
    after,
    answers,
    asking,
    fails,
    hangs,
    now,
    reads,
)


def bounded(scorer: Scorer, *, attempt_s: float = 2.0, fair_s: float = 0.5) -> Timeout:
    return Timeout(scorer, backend="tei", attempt_s=attempt_s, fair_s=fair_s)


async def test_an_answer_in_time_passes_as_it_is() -> None:
    scores = await bounded(FakeScorer(after(1.9, answers(3.0)))).score(asking("a"))
    assert scores.raw == (3.0,)


async def test_a_late_attempt_is_timed_out_by_the_backends_own_limit() -> None:
    slow = FakeScorer(hangs())
    began = now()
    with pytest.raises(TimedOut, match=r"^tei: no answer in 2\.00 s$") as raised:
        await bounded(slow).score(asking("a", within_s=10))
    assert type(raised.value) is TimedOut
    assert now() - began == pytest.approx(2.0)
    assert len(slow.cancelled) == 1


async def test_a_limit_that_is_shared_out_evenly_is_still_the_backends_own() -> None:
    slow = FakeScorer(hangs())
    with pytest.raises(TimedOut) as raised:
        await bounded(slow).score(asking("a", within_s=1.9999))
    assert type(raised.value) is TimedOut


async def test_a_late_attempt_is_out_of_time_by_the_callers_limit() -> None:
    slow = FakeScorer(hangs())
    began = now()
    with pytest.raises(OutOfTime, match=r"no answer in 0\.80 s"):
        await bounded(slow).score(asking("a", within_s=0.8))
    assert now() - began == pytest.approx(0.8)
    assert len(slow.cancelled) == 1


@pytest.mark.parametrize("late_by_s", [0.0, 3.0])
async def test_nothing_is_asked_when_no_time_is_left(late_by_s: float) -> None:
    scorer = FakeScorer()
    with pytest.raises(OutOfTime) as raised:
        await bounded(scorer).score(asking("a", within_s=-late_by_s))
    assert not scorer.requests
    assert not raised.value.blames_backend


@pytest.mark.parametrize(
    ("within_s", "blamed"), [(0.4, False), (0.5, True), (1.0, True), (9.0, True)]
)
async def test_only_an_attempt_that_had_a_fair_chance_blames_the_backend(
    within_s: float, *, blamed: bool
) -> None:
    with pytest.raises(TimedOut) as raised:
        await bounded(FakeScorer(hangs())).score(asking("a", within_s=within_s))
    assert raised.value.blames_backend is blamed
    assert raised.value.transient


async def test_a_limit_of_its_own_is_fair_however_short_it_is() -> None:
    scorer = bounded(FakeScorer(hangs()), attempt_s=0.2, fair_s=0.5)
    with pytest.raises(TimedOut) as raised:
        await scorer.score(asking("a", within_s=9.0))
    assert raised.value.blames_backend


async def test_a_failure_in_time_passes_as_it_is() -> None:
    down = FakeScorer(after(1, fails(lambda: Unavailable("tei", "refused"))))
    with pytest.raises(Unavailable, match="tei: refused"):
        await bounded(down).score(asking("a"))


async def test_a_timeout_of_somebody_else_is_not_taken_for_ours() -> None:
    class Broken:
        async def score(self, _: ScoreRequest) -> Scores:
            message = "not ours"
            raise TimeoutError(message)

    with pytest.raises(TimeoutError, match="not ours"):
        await bounded(Broken()).score(asking("a"))


async def test_cancellation_passes_through_and_reaches_the_backend() -> None:
    slow = FakeScorer(hangs())
    asked = asyncio.create_task(bounded(slow).score(asking("a")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(slow.cancelled) == 1


async def test_time_that_was_not_used_is_nobodys_loss() -> None:
    scorer = bounded(FakeScorer(reads()), attempt_s=1.0)
    for _ in range(3):
        await scorer.score(asking("1"))
        await asyncio.sleep(5)
