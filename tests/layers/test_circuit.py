"""Whether a backend that failed may be asked again: states and times."""

import random

import pytest

from gateway.backends.errors import FailureReason
from gateway.events import CircuitState
from gateway.layers.circuit import Circuit, Permit, Refused

CLOSED, OPEN, HALF_OPEN = (
    CircuitState.CLOSED,
    CircuitState.OPEN,
    CircuitState.HALF_OPEN,
)


def circuit(
    *, in_row: int = 3, rate: float = 0.5, min_calls: int = 10, most_s: float = 60.0
) -> Circuit:
    return Circuit(
        failures_in_row=in_row,
        failure_rate=rate,
        window_s=10.0,
        min_calls=min_calls,
        cooldown_s=5.0,
        max_cooldown_s=most_s,
    )


def admitted(tested: Circuit, now: float) -> Permit:
    permit = tested.admit(now)
    assert isinstance(permit, Permit)
    return permit


def refused(tested: Circuit, now: float) -> Refused:
    refusal = tested.admit(now)
    assert isinstance(refusal, Refused)
    return refusal


def play(tested: Circuit, calls: str, *, now: float) -> None:
    """Let calls fail (`f`) or succeed (`s`), all at the same moment."""
    for each in calls:
        permit = admitted(tested, now)
        (tested.failed if each == "f" else tested.succeeded)(permit, now)


def opened(*, now: float = 0.0, most_s: float = 60.0) -> Circuit:
    tested = circuit(most_s=most_s)
    play(tested, "fff", now=now)
    assert tested.state(now) is OPEN
    return tested


# Closed


def test_it_begins_closed_and_lets_every_call_through() -> None:
    tested = circuit()
    assert tested.state(0.0) is CLOSED
    assert [admitted(tested, 0.0) for _ in range(3)]


def test_so_many_failures_in_a_row_open_it() -> None:
    tested = circuit()
    play(tested, "ff", now=1.0)
    assert tested.state(1.0) is CLOSED
    play(tested, "f", now=9.0)
    assert tested.state(9.0) is OPEN


def test_a_success_ends_a_row() -> None:
    tested = circuit()
    play(tested, "ffsff", now=1.0)
    assert tested.state(1.0) is CLOSED
    play(tested, "f", now=1.0)
    assert tested.state(1.0) is OPEN


def test_failing_often_opens_it_without_any_row() -> None:
    tested = circuit(in_row=100)
    play(tested, "sf" * 4 + "s", now=1.0)
    assert tested.state(1.0) is CLOSED
    play(tested, "f", now=1.0)
    assert tested.state(1.0) is OPEN


def test_failing_seldom_does_not() -> None:
    tested = circuit(in_row=100)
    play(tested, "ssf" * 100, now=1.0)
    assert tested.state(1.0) is CLOSED


def test_few_calls_have_no_rate() -> None:
    tested = circuit(in_row=100)
    play(tested, "f" * 9, now=1.0)
    assert tested.state(1.0) is CLOSED


def test_the_window_forgets() -> None:
    tested = circuit(in_row=100)
    play(tested, "f" * 9, now=1.0)
    play(tested, "f" * 9, now=11.5)
    assert tested.state(11.5) is CLOSED
    play(tested, "f", now=20.0)
    assert tested.state(20.0) is OPEN


def test_a_success_does_not_clear_the_window() -> None:
    tested = circuit(in_row=100)
    play(tested, "f" * 9 + "s" * 9, now=1.0)
    play(tested, "f", now=5.0)
    assert tested.state(5.0) is OPEN


# Open


def test_an_open_one_refuses_for_the_cooldown_and_says_for_how_long() -> None:
    tested = opened()
    assert refused(tested, 0.0) == Refused(FailureReason.CIRCUIT_OPEN, 5.0)
    assert refused(tested, 4.0) == Refused(FailureReason.CIRCUIT_OPEN, 1.0)
    admitted(tested, 5.0)
    assert tested.state(5.0) is HALF_OPEN


def test_calls_that_were_let_through_before_it_opened_change_nothing() -> None:
    tested = circuit()
    early = [admitted(tested, 0.0) for _ in range(3)]
    play(tested, "fff", now=1.0)
    tested.succeeded(early[0], 2.0)
    tested.failed(early[1], 3.0)
    assert tested.state(3.0) is OPEN
    admitted(tested, 6.0)
    tested.failed(early[2], 6.5)
    assert tested.state(6.5) is HALF_OPEN


# Half-open


def test_a_half_open_one_lets_a_single_call_through() -> None:
    tested = opened()
    admitted(tested, 5.0)
    for now in (5.0, 6.0, 600.0):
        assert refused(tested, now) == Refused(FailureReason.CIRCUIT_OPEN, 0.0)


def test_a_success_of_it_closes_and_nothing_of_before_is_remembered() -> None:
    tested = opened()
    tested.succeeded(admitted(tested, 5.0), 6.0)
    assert tested.state(6.0) is CLOSED
    play(tested, "ff", now=6.0)
    assert tested.state(6.0) is CLOSED


def test_a_failure_of_it_opens_again_for_twice_as_long_up_to_the_longest() -> None:
    tested = opened(most_s=25.0)
    now = 0.0
    for cooldown_s in (5.0, 10.0, 20.0, 25.0, 25.0):
        assert refused(tested, now).left_s == pytest.approx(cooldown_s)
        now += cooldown_s
        tested.failed(admitted(tested, now), now)
        assert tested.state(now) is OPEN


def test_after_a_success_the_first_cooldown_is_the_first_one_again() -> None:
    tested = opened()
    tested.failed(admitted(tested, 5.0), 5.0)
    tested.succeeded(admitted(tested, 15.0), 15.0)
    play(tested, "fff", now=16.0)
    assert refused(tested, 16.0).left_s == pytest.approx(5.0)


def test_a_dropped_call_gives_its_turn_to_the_next() -> None:
    tested = opened()
    tested.dropped(admitted(tested, 5.0))
    assert tested.state(5.0) is HALF_OPEN
    tested.succeeded(admitted(tested, 6.0), 6.0)
    assert tested.state(6.0) is CLOSED


def test_a_late_drop_does_not_free_the_turn_of_another() -> None:
    tested = circuit()
    early = admitted(tested, 0.0)
    play(tested, "fff", now=0.0)
    admitted(tested, 5.0)
    tested.dropped(early)
    refused(tested, 5.0)


# Asked beforehand


def test_asking_beforehand_tells_the_same_and_takes_no_turn() -> None:
    tested = opened(now=0.0)
    assert tested.refusal(1.0) == refused(tested, 1.0)
    assert tested.refusal(5.0) is None
    assert tested.state(5.0) is OPEN
    permit = admitted(tested, 5.0)
    assert tested.refusal(5.0) == refused(tested, 5.0)
    tested.dropped(permit)
    assert tested.refusal(5.0) is None
    tested.rest_until(9.0, FailureReason.RATE_LIMITED)
    assert tested.refusal(6.0) == refused(tested, 6.0)


# Left alone


def test_one_that_is_left_alone_refuses_without_blame_and_tells_why() -> None:
    tested = circuit()
    tested.rest_until(10.0, FailureReason.RATE_LIMITED)
    assert tested.state(9.9) is OPEN
    assert refused(tested, 4.0) == Refused(FailureReason.RATE_LIMITED, 6.0)
    assert tested.state(10.0) is CLOSED
    play(tested, "ff", now=10.0)
    assert tested.state(10.0) is CLOSED


def test_the_later_one_of_two_such_times_counts() -> None:
    tested = circuit()
    tested.rest_until(10.0, FailureReason.RATE_LIMITED)
    tested.rest_until(5.0, FailureReason.UNAVAILABLE)
    assert refused(tested, 4.0) == Refused(FailureReason.RATE_LIMITED, 6.0)
    tested.rest_until(20.0, FailureReason.UNAVAILABLE)
    assert refused(tested, 15.0) == Refused(FailureReason.UNAVAILABLE, 5.0)


def test_afterwards_it_is_what_it_was() -> None:
    tested = opened()
    probe = admitted(tested, 5.0)
    tested.rest_until(30.0, FailureReason.RATE_LIMITED)
    tested.dropped(probe)
    refused(tested, 29.0)
    assert tested.state(30.0) is HALF_OPEN
    admitted(tested, 30.0)
    refused(tested, 30.0)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_it_comes_back(seed: int) -> None:
    """No order of events closes the way for ever, nor lets two probes through."""
    chance = random.Random(seed)
    tested = circuit(most_s=25.0)
    now, running = 0.0, list[Permit]()
    for _ in range(500):
        now += chance.choice([0.0, 0.1, 1.0, 7.0])
        half_open = tested.state(now) is HALF_OPEN
        permit = tested.admit(now)
        if isinstance(permit, Permit):
            assert not (half_open and any(each == permit for each in running))
            running.append(permit)
        if running and chance.random() < 0.7:
            ending = running.pop(chance.randrange(len(running)))
            match chance.randrange(4):
                case 0:
                    tested.succeeded(ending, now)
                case 1:
                    tested.dropped(ending)
                case 2:
                    tested.rest_until(now + 3.0, FailureReason.RATE_LIMITED)
                    tested.dropped(ending)
                case _:
                    tested.failed(ending, now)
    for each in running:
        tested.dropped(each)
    now += 25.0
    tested.succeeded(admitted(tested, now), now)
    assert tested.state(now) is CLOSED
