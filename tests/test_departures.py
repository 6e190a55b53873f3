"""Calls that arrive together do not all leave at the same moment."""

from contextlib import ExitStack

import pytest

from gateway.departures import Departures


def booked(calls: int, *, documents: int = 20) -> list[float]:
    """Book calls that all would leave after one second, half a second at the earliest."""
    departures = Departures()
    with ExitStack() as open_calls:
        return [
            open_calls.enter_context(
                departures.booked(latest=1.0, earliest=0.5, documents=documents)
            )
            for _ in range(calls)
        ]


def test_a_single_call_leaves_as_late_as_it_may() -> None:
    assert booked(1) == [1.0]


def test_no_moment_has_more_departures_than_can_be_answered() -> None:
    times = booked(150)
    assert all(0.5 <= each <= 1.0 for each in times)
    for moment in set(times):
        assert times.count(moment) <= 5


def test_later_calls_give_up_earlier() -> None:
    times = booked(150)
    assert times == sorted(times, reverse=True)


def test_nobody_gives_up_before_the_earliest_moment_however_many_there_are() -> None:
    assert min(booked(5000)) >= 0.5


def test_large_answers_need_more_room() -> None:
    assert len(set(booked(10, documents=1000))) == 10


def test_a_call_that_ended_makes_room_for_the_next() -> None:
    departures = Departures()
    for _ in range(1000):
        with departures.booked(latest=1.0, earliest=0.5, documents=20) as until:
            assert until == 1.0
    assert not departures._booked_s


def test_a_call_that_failed_makes_room_too() -> None:
    departures = Departures()
    with (
        pytest.raises(ZeroDivisionError),
        departures.booked(latest=1.0, earliest=0.5, documents=1),
    ):
        raise ZeroDivisionError
    assert not departures._booked_s


def test_a_call_without_a_choice_leaves_when_it_must() -> None:
    departures = Departures()
    with ExitStack() as open_calls:
        for _ in range(100):
            until = open_calls.enter_context(
                departures.booked(latest=1.0, earliest=1.0, documents=20)
            )
            assert until == 1.0


def test_a_deadline_that_has_passed_is_left_as_it_is() -> None:
    with Departures().booked(latest=-0.02, earliest=-0.02, documents=1) as until:
        assert until == -0.02
