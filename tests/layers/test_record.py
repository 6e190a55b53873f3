"""Write down every call to a backend: how long it took and how it ended."""

import asyncio

import pytest

from gateway.backends.errors import Attempt, BackendState, FailureReason, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer
from gateway.events import AttemptEnded, Event
from gateway.layers.record import Record
from tests.support.scorers import FakeScorer, after, answers, asking, fails, hangs


def recorded(scorer: Scorer, told: list[Event]) -> Record:
    facts = Facts(max_documents=8, model="as-configured", fixed=True)
    return Record(scorer, backend="tei", facts=facts, emit=told.append)


def approximately(attempt: Attempt) -> tuple[object, ...]:
    return (
        attempt.backend,
        attempt.model,
        attempt.failure,
        round(attempt.duration_s, 6),
        attempt.document_count,
    )


async def test_an_answer_carries_the_call_that_gave_it() -> None:
    told: list[Event] = []
    scorer = FakeScorer(after(0.25, answers(1.0, 2.0)), model="as-reported")
    scores = await recorded(scorer, told).score(asking("a", "b"))
    (attempt,) = scores.attempts
    assert approximately(attempt) == ("tei", "as-reported", None, 0.25, 2)
    assert told == [AttemptEnded(attempt, "", BackendState.READY)]


async def test_an_error_carries_the_call_that_ended_in_it() -> None:
    told: list[Event] = []
    scorer = FakeScorer(after(0.5, fails(lambda: Unavailable("tei", "refused"))))
    with pytest.raises(Unavailable) as raised:
        await recorded(scorer, told).score(asking("a"))
    (attempt,) = raised.value.attempts
    assert approximately(attempt) == (
        "tei",
        "as-configured",
        FailureReason.UNAVAILABLE,
        0.5,
        1,
    )
    assert told == [AttemptEnded(attempt, "tei: refused", BackendState.UNREACHABLE)]


async def test_calls_that_were_made_before_stay_in_front() -> None:
    told: list[Event] = []
    twice = recorded(recorded(FakeScorer(answers(1.0)), told), told)
    scores = await twice.score(asking("a"))
    assert len(scores.attempts) == 2
    assert [event.attempt for event in told if isinstance(event, AttemptEnded)] == list(
        scores.attempts
    )


async def test_a_call_that_its_caller_gave_up_is_not_written_down() -> None:
    told: list[Event] = []
    scorer = FakeScorer(hangs())
    asked = asyncio.create_task(recorded(scorer, told).score(asking("a")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert told == []
    assert len(scorer.cancelled) == 1
