"""Ask one backend after the other until one answers."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.backends.errors import (
    BackendError,
    FailureReason,
    Malformed,
    Misconfigured,
    Overloaded,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.layers.breaker import Breaker
from gateway.layers.chunk import Chunk
from gateway.layers.circuit import Circuit
from gateway.layers.fallback import Fallback
from gateway.layers.record import Record
from gateway.layers.timeout import Timeout
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


def down(backend: str) -> Step:
    return fails(lambda: Unavailable(backend, "refused"))


def unpaid(backend: str) -> Step:
    return fails(lambda: Unauthenticated(backend, "HTTP 402"))


def recorded(scorer: Scorer, backend: str) -> Scorer:
    facts = Facts(max_documents=8, model="m", fixed=True)
    timed = Timeout(scorer, backend=backend, attempt_s=60, fair_s=0.5)
    return Record(timed, backend=backend, facts=facts, emit=lambda _: None)


def in_order(**scorers: Scorer) -> Fallback:
    return Fallback(
        tuple(recorded(scorer, backend) for backend, scorer in scorers.items())
    )


async def failures(
    scorer: Scorer, *texts: str
) -> tuple[BackendError, list[tuple[str, str]]]:
    with pytest.raises(BackendError) as raised:
        await scorer.score(asking(*(texts or ("1",)), within_s=10))
    attempts = [(each.backend, str(each.failure)) for each in raised.value.attempts]
    return raised.value, attempts


async def test_the_first_that_answers_is_the_only_one_asked() -> None:
    first, second = FakeScorer(backend="a"), FakeScorer(backend="b")
    scores = await in_order(a=first, b=second).score(asking("1"))
    assert scores.backend == "a"
    assert not second.requests


async def test_the_next_is_asked_about_everything_when_one_fails() -> None:
    first, second = FakeScorer(down("a")), FakeScorer(backend="b")
    scores = await in_order(a=first, b=second).score(asking("1", "2"))
    assert scores.backend == "b"
    assert scores.raw == (1.0, 2.0)
    assert [(each.backend, each.failure) for each in scores.attempts] == [
        ("a", FailureReason.UNAVAILABLE),
        ("b", None),
    ]


async def test_one_that_hangs_leaves_the_next_its_turn() -> None:
    second = FakeScorer(after(4, reads()), backend="b")
    began = now()
    scores = await in_order(a=FakeScorer(hangs()), b=second).score(
        asking("1", within_s=10)
    )
    assert scores.backend == "b"
    assert now() - began == pytest.approx(9)
    assert [(each.backend, each.failure) for each in scores.attempts] == [
        ("a", FailureReason.DEADLINE),
        ("b", None),
    ]


async def test_time_is_divided_evenly_among_those_still_to_come() -> None:
    scorers = [FakeScorer(hangs()) for _ in range(3)]
    began = now()
    error, _ = await failures(in_order(a=scorers[0], b=scorers[1], c=scorers[2]))
    given = [scorer.requests[0].deadline - began for scorer in scorers]
    assert given == pytest.approx([10 / 3, 20 / 3, 10])
    assert now() - began == pytest.approx(10)
    assert error.reason is FailureReason.DEADLINE


async def test_what_one_does_not_use_the_next_ones_get() -> None:
    scorers = [
        FakeScorer(after(1, down("a"))),
        FakeScorer(hangs()),
        FakeScorer(hangs()),
    ]
    began = now()
    await failures(in_order(a=scorers[0], b=scorers[1], c=scorers[2]))
    given = [scorer.requests[0].deadline - began for scorer in scorers]
    assert given == pytest.approx([10 / 3, 1 + 9 / 2, 10])


def opened(scorer: Scorer, backend: str) -> Breaker:
    """Guard a backend with a circuit that is open from the first failure on."""
    circuit = Circuit(
        failures_in_row=1,
        failure_rate=1.0,
        window_s=10.0,
        min_calls=1,
        cooldown_s=60.0,
        max_cooldown_s=60.0,
    )
    return Breaker(
        scorer, backend=backend, circuit=circuit, fair_s=0.5, emit=lambda _: None
    )


async def test_an_open_circuit_is_skipped_at_once_and_the_others_get_its_time() -> None:
    down_for_long = FakeScorer(down("a"))
    slow, last = FakeScorer(hangs()), FakeScorer(after(4, reads()), backend="c")
    scorer = Fallback(
        (
            opened(recorded(down_for_long, "a"), "a"),
            recorded(slow, "b"),
            recorded(last, "c"),
        )
    )
    await scorer.score(asking("1", within_s=10))
    began = now()
    scores = await scorer.score(asking("1", within_s=10))
    assert len(down_for_long.requests) == 1
    assert slow.requests[-1].deadline - began == pytest.approx(5)
    assert last.requests[-1].deadline - began == pytest.approx(10)
    assert [(each.backend, each.failure) for each in scores.attempts] == [
        ("a", FailureReason.CIRCUIT_OPEN),
        ("b", FailureReason.DEADLINE),
        ("c", None),
    ]


async def test_the_last_one_has_its_turn_however_many_are_slow_before_it() -> None:
    slow = {f"slow_{number}": FakeScorer(hangs()) for number in range(4)}
    last = FakeScorer(after(1.9, reads()), backend="last")
    scores = await in_order(**slow, last=last).score(asking("1", within_s=10))
    assert scores.backend == "last"


def scoring(*raw: float | None, backend: str) -> FakeScorer:
    return FakeScorer(after(1, answers(*raw)), backend=backend)


def partial(*texts: str) -> ScoreRequest:
    return replace(asking(*texts), takes_partial=True)


async def test_a_part_is_not_the_last_word_while_others_may_score_all() -> None:
    first, second = scoring(1.0, None, backend="a"), scoring(3.0, 4.0, backend="b")
    scores = await in_order(a=first, b=second).score(partial("1", "2"))
    assert scores.backend == "b"
    assert scores.raw == (3.0, 4.0)
    assert [each.backend for each in scores.attempts] == ["a", "b"]


async def test_a_part_is_the_answer_where_no_other_one_answers() -> None:
    first = scoring(1.0, None, backend="a")
    scores = await in_order(a=first, b=FakeScorer(down("b"))).score(partial("1", "2"))
    assert scores.backend == "a"
    assert scores.raw == (1.0, None)
    assert [(each.backend, each.failure) for each in scores.attempts] == [
        ("a", None),
        ("b", FailureReason.UNAVAILABLE),
    ]


async def test_of_several_parts_the_largest_is_the_answer() -> None:
    scorers = {
        "a": scoring(1.0, None, None, backend="a"),
        "b": scoring(1.0, 2.0, None, backend="b"),
        "c": scoring(1.0, None, None, backend="c"),
    }
    scores = await in_order(**scorers).score(partial("1", "2", "3"))
    assert scores.backend == "b"
    assert len(scores.attempts) == 3


async def test_where_no_part_is_taken_the_first_answer_stands_as_it_is() -> None:
    first, second = scoring(1.0, None, backend="a"), scoring(3.0, 4.0, backend="b")
    scores = await in_order(a=first, b=second).score(asking("1", "2"))
    assert scores.backend == "a"
    assert not second.requests


async def test_when_all_fail_the_error_is_that_of_the_last() -> None:
    error, attempts = await failures(
        in_order(a=FakeScorer(down("a")), b=FakeScorer(unpaid("b")))
    )
    assert error.reason is FailureReason.UNAUTHENTICATED
    assert str(error) == "b: HTTP 402"
    assert attempts == [("a", "UNAVAILABLE"), ("b", "UNAUTHENTICATED")]


@pytest.mark.parametrize(
    ("first", "second", "transient"),
    [
        (down("a"), unpaid("b"), True),
        (unpaid("a"), down("b"), True),
        (unpaid("a"), unpaid("b"), False),
    ],
)
async def test_a_later_call_may_succeed_if_it_may_at_any_one_of_them(
    first: Step, second: Step, *, transient: bool
) -> None:
    error, _ = await failures(in_order(a=FakeScorer(first), b=FakeScorer(second)))
    assert error.transient is transient


@pytest.mark.parametrize(
    "make",
    [
        lambda: Overloaded("a", "8 calls wait for it"),
        lambda: Misconfigured("a", "environment variable KEY is not set"),
    ],
)
async def test_one_that_failed_without_being_asked_is_accounted_for(
    make: Callable[[], BackendError],
) -> None:
    first = FakeScorer(after(0.5, fails(make)))
    scores = await Fallback((first, recorded(FakeScorer(backend="b"), "b"))).score(
        asking("1", "2")
    )
    refused, answered = scores.attempts
    assert (refused.backend, refused.document_count) == ("a", 2)
    assert refused.duration_s == pytest.approx(0.5)
    assert refused.failure is make().reason
    assert answered.failure is None


async def test_a_failure_that_none_of_its_calls_shows_is_accounted_for() -> None:
    """All calls were answered, and what they said together made no sense."""
    one, other = FakeScorer(model="m1"), FakeScorer(model="m2")
    backend = FakeScorer(gives(one.scores(1.0)), gives(other.scores(2.0)))
    facts = Facts(max_documents=1, model="", fixed=True)
    chunked = Chunk(recorded(backend, "fake"), facts=facts, reserve_s=0.01)
    with pytest.raises(Malformed) as raised:
        await Fallback((chunked,)).score(asking("1", "2"))
    assert [each.failure for each in raised.value.attempts] == [
        None,
        None,
        FailureReason.MALFORMED,
    ]
    assert raised.value.attempts[-1].document_count == 2


async def test_a_part_that_was_not_asked_is_accounted_for_beside_parts_that_were() -> (
    None
):
    asked = recorded(FakeScorer(), "fake")

    class HalfFull:
        async def score(self, request: ScoreRequest) -> Scores:
            if request.documents[0].text == "1":
                return await asked.score(request)
            await asyncio.sleep(1)
            message = "its turn came too late"
            raise Overloaded("fake", message)

    facts = Facts(max_documents=1, model="", fixed=True)
    _, attempts = await failures(
        Fallback((Chunk(HalfFull(), facts=facts, reserve_s=0.01),)), "1", "2"
    )
    assert attempts == [("fake", "None"), ("fake", "OVERLOADED")]


async def test_cancellation_reaches_whoever_is_asked_and_nobody_else() -> None:
    first, second = FakeScorer(hangs()), FakeScorer()
    asked = asyncio.create_task(in_order(a=first, b=second).score(asking("1")))
    await asyncio.sleep(1)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert len(first.cancelled) == 1
    assert not second.requests
