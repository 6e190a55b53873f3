"""The values that scorers exchange: requests, scores, facts and failures."""

import math
from collections.abc import Callable

import pytest

from gateway.backends.errors import (
    Attempt,
    BackendError,
    CircuitOpen,
    Excess,
    FailureReason,
    Internal,
    Malformed,
    Misconfigured,
    OutOfTime,
    Overloaded,
    RateLimited,
    Rejected,
    TimedOut,
    TooLarge,
    TooLate,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scores, Usage
from gateway.ranking.normalize import Scale


def scores(*raw: float | None, beyond: int = 0) -> Scores:
    return Scores(raw=raw, scale=Scale.LOGIT, backend="tei", model="m", beyond=beyond)


# Scores


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_cannot_be_ordered_are_no_scores(number: float) -> None:
    with pytest.raises(ValueError, match="tei: a score is not finite"):
        scores(1.0, number)


def test_scores_are_complete_when_everything_that_was_put_to_the_model_has_one() -> (
    None
):
    assert scores(1.0, 2.0).complete
    assert not scores(1.0, None).complete
    assert scores(1.0, None, beyond=1).complete
    assert not scores(None, None, beyond=1).complete


def test_calls_are_added_behind_those_that_are_there() -> None:
    first = Attempt("tei", "m", FailureReason.TIMEOUT, 0.8, 2)
    second = Attempt("tei", "m", None, 0.1, 2)
    both = scores(1.0).with_attempts(first).with_attempts(second)
    assert both.attempts == (first, second)
    assert both.raw == (1.0,)


def test_costs_add_up() -> None:
    total = Usage(search_units=1.0, tokens=5) + Usage(search_units=0.5, tokens=2)
    assert total == Usage(search_units=1.5, tokens=7)


# Failures

TREE: list[tuple[Callable[[], BackendError], FailureReason, bool, bool]] = [
    (lambda: Unavailable("b", "x"), FailureReason.UNAVAILABLE, True, True),
    (
        lambda: Unavailable("b", "x", loading=True),
        FailureReason.UNAVAILABLE,
        True,
        False,
    ),
    (
        lambda: Unavailable("b", "x", permanent=True),
        FailureReason.UNAVAILABLE,
        False,
        True,
    ),
    (lambda: TimedOut("b", 1, had_fair_chance=True), FailureReason.TIMEOUT, True, True),
    (
        lambda: TimedOut("b", 1, had_fair_chance=False),
        FailureReason.TIMEOUT,
        True,
        False,
    ),
    (
        lambda: OutOfTime("b", 1, had_fair_chance=True),
        FailureReason.DEADLINE,
        True,
        True,
    ),
    (lambda: RateLimited("b", "x"), FailureReason.RATE_LIMITED, True, False),
    (lambda: Overloaded("b", "x"), FailureReason.OVERLOADED, True, False),
    (lambda: TooLate("b", "x"), FailureReason.OVERLOADED, True, False),
    (lambda: CircuitOpen("b", "x"), FailureReason.CIRCUIT_OPEN, True, False),
    (lambda: TooLarge("b", Excess.BYTES), FailureReason.TOO_LARGE, False, False),
    (lambda: Rejected("b", "x"), FailureReason.REJECTED, False, False),
    (lambda: Unauthenticated("b", "x"), FailureReason.UNAUTHENTICATED, False, False),
    (lambda: Malformed("b", "x"), FailureReason.MALFORMED, False, True),
    (lambda: Misconfigured("b", "x"), FailureReason.MISCONFIGURED, False, False),
    (lambda: Internal("b", "x"), FailureReason.INTERNAL, False, False),
]


@pytest.mark.parametrize(("make", "reason", "transient", "blames"), TREE)
def test_each_failure_classifies_itself(
    make: Callable[[], BackendError],
    reason: FailureReason,
    *,
    transient: bool,
    blames: bool,
) -> None:
    error = make()
    assert error.reason is reason
    assert error.transient is transient
    assert error.blames_backend is blames
    assert str(error).startswith("b: ")


def test_every_reason_has_a_failure() -> None:
    assert {reason for _, reason, _, _ in TREE} == set(FailureReason)


@pytest.mark.parametrize(
    ("given", "limit", "words"),
    [
        (33, 32, "tei: too many documents in one call (33 of at most 32)"),
        (None, 32, "tei: too many documents in one call"),
        (33, None, "tei: too many documents in one call"),
    ],
)
def test_a_size_is_told_with_its_numbers_where_they_are_known(
    given: int | None, limit: int | None, words: str
) -> None:
    assert str(TooLarge("tei", Excess.DOCUMENTS, given=given, limit=limit)) == words


# Facts


def test_what_is_configured_stands() -> None:
    facts = Facts(max_documents=8, model="m", fixed=True)
    facts.learn_max_documents(64)
    assert facts.max_documents == 8


def test_what_is_not_configured_is_learned() -> None:
    facts = Facts(max_documents=8, model="", fixed=False)
    facts.learn_max_documents(64)
    facts.learn_model("bge")
    assert (facts.max_documents, facts.model) == (64, "bge")


@pytest.mark.parametrize("limit", [0, -1])
def test_a_size_that_cannot_be_is_not_learned(limit: int) -> None:
    facts = Facts(max_documents=8, model="m", fixed=False)
    facts.learn_max_documents(limit)
    facts.learn_model("")
    assert (facts.max_documents, facts.model) == (8, "m")
