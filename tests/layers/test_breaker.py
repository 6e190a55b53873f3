"""Stop asking a backend that keeps failing; ask again, gently, after a while."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from gateway.backends.errors import (
    BackendError,
    BackendState,
    CircuitOpen,
    Excess,
    FailureReason,
    Malformed,
    RateLimited,
    Rejected,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Scorer
from gateway.events import CircuitChanged, CircuitState, Event
from gateway.layers.breaker import Breaker
from gateway.layers.circuit import Circuit
from gateway.layers.timeout import Timeout
from tests.support.scorers import FakeScorer, Step, after, asking, fails, hangs, reads

CLOSED, OPEN, HALF_OPEN = (
    CircuitState.CLOSED,
    CircuitState.OPEN,
    CircuitState.HALF_OPEN,
)
DOWN = fails(lambda: Unavailable("tei", "refused"))


def guarded(scorer: Scorer, *, told: list[Event] | None = None) -> Breaker:
    """Open after three failures in a row, for five seconds."""
    circuit = Circuit(
        failures_in_row=3,
        failure_rate=0.5,
        window_s=10.0,
        min_calls=20,
        cooldown_s=5.0,
        max_cooldown_s=60.0,
    )
    emit = (told if told is not None else []).append
    return Breaker(scorer, backend="tei", circuit=circuit, fair_s=0.5, emit=emit)


def timed(scorer: Scorer) -> Timeout:
    return Timeout(scorer, backend="tei", attempt_s=10.0, fair_s=0.5)


async def asked(scorer: Scorer, times: int = 1, *, within_s: float = 10.0) -> None:
    """Ask so often, whatever comes of it."""
    for _ in range(times):
        with suppress(BackendError):
            await scorer.score(asking("1", within_s=within_s))


async def left(scorer: Scorer, times: int = 1, *, after_s: float) -> None:
    """Ask so often, and give up each time."""
    for _ in range(times):
        call = asyncio.create_task(scorer.score(asking("1")))
        await asyncio.sleep(after_s)
        call.cancel()
        with pytest.raises((asyncio.CancelledError, CircuitOpen)):
            await call


def changes(told: list[Event]) -> list[CircuitState]:
    return [each.state for each in told if isinstance(each, CircuitChanged)]


async def test_an_answer_passes_as_it_is() -> None:
    assert (await guarded(FakeScorer()).score(asking("7"))).raw == (7.0,)


async def test_a_backend_that_keeps_failing_is_not_asked_any_more() -> None:
    told: list[Event] = []
    backend = FakeScorer(DOWN)
    scorer = guarded(backend, told=told)
    await asked(scorer, 10)
    assert len(backend.requests) == 3
    assert told == [CircuitChanged("tei", OPEN)]
    with pytest.raises(
        CircuitOpen, match=r"^tei: it failed too often, .* 5\.00 s more"
    ):
        await scorer.score(asking("1"))


async def test_the_refusal_tells_when_to_come_again() -> None:
    scorer = guarded(FakeScorer(DOWN))
    await asked(scorer, 3)
    await asyncio.sleep(2)
    with pytest.raises(CircuitOpen) as raised:
        await scorer.score(asking("1"))
    assert raised.value.retry_after_s == pytest.approx(3.0)
    assert raised.value.transient
    assert not raised.value.blames_backend


async def test_one_call_looks_whether_it_works_again() -> None:
    told: list[Event] = []
    backend = FakeScorer(DOWN, DOWN, DOWN, after(1, reads()))
    scorer = guarded(backend, told=told)
    await asked(scorer, 3)
    await asyncio.sleep(5)
    calls = [asyncio.create_task(asked(scorer)) for _ in range(9)]
    await asyncio.gather(*calls)
    assert len(backend.requests) == 4
    await asked(scorer, 5)
    assert len(backend.requests) == 9
    assert changes(told) == [OPEN, HALF_OPEN, CLOSED]


async def test_beside_the_call_that_looks_others_are_refused_at_once() -> None:
    backend = FakeScorer(DOWN, DOWN, DOWN, after(1, reads()))
    scorer = guarded(backend)
    await asked(scorer, 3)
    await asyncio.sleep(5)
    probe = asyncio.create_task(asked(scorer))
    await asyncio.sleep(0.5)
    with pytest.raises(CircuitOpen, match="one call looks") as raised:
        await scorer.score(asking("1"))
    assert raised.value.retry_after_s is None
    await probe


@pytest.mark.parametrize(
    "step",
    [
        DOWN,
        fails(lambda: Unavailable("tei", "HTTP 501", permanent=True)),
        fails(lambda: TimedOut("tei", 1.0, had_fair_chance=True)),
        fails(lambda: Malformed("tei", "too few scores")),
    ],
)
async def test_what_blames_the_backend_opens_the_circuit(step: Step) -> None:
    backend = FakeScorer(step)
    await asked(guarded(backend), 10)
    assert len(backend.requests) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Rejected("tei", "HTTP 400"),
        lambda: Unauthenticated("tei", "HTTP 401"),
        lambda: TooLarge("tei", Excess.TOKENS),
        lambda: TimedOut("tei", 0.1, had_fair_chance=False),
        lambda: RateLimited("tei", "HTTP 429"),
    ],
)
async def test_what_does_not_blame_it_never_does(
    make: Callable[[], BackendError],
) -> None:
    told: list[Event] = []
    backend = FakeScorer(fails(make))
    await asked(guarded(backend, told=told), 50)
    assert len(backend.requests) == 50
    assert told == []


async def test_a_refusal_of_the_request_shows_that_the_backend_is_back() -> None:
    told: list[Event] = []
    refusing = fails(lambda: Rejected("tei", "HTTP 400"))
    scorer = guarded(FakeScorer(DOWN, DOWN, DOWN, refusing), told=told)
    await asked(scorer, 3)
    await asyncio.sleep(5)
    with pytest.raises(Rejected):
        await scorer.score(asking("1"))
    assert changes(told) == [OPEN, HALF_OPEN, CLOSED]


# Callers who do not wait for the end


async def test_calls_that_were_given_up_after_a_fair_time_open_the_circuit() -> None:
    backend = FakeScorer(hangs())
    await left(guarded(timed(backend)), 8, after_s=0.6)
    assert len(backend.requests) == 3


async def test_calls_that_were_given_up_sooner_show_nothing() -> None:
    told: list[Event] = []
    backend = FakeScorer(hangs())
    await left(guarded(timed(backend), told=told), 50, after_s=0.4)
    assert len(backend.requests) == 50
    assert told == []


async def test_impatient_deadlines_do_not_hide_a_backend_that_hangs() -> None:
    backend = FakeScorer(hangs())
    await asked(guarded(timed(backend)), 8, within_s=0.6)
    assert len(backend.requests) == 3


async def test_a_look_that_was_given_up_leaves_its_turn_to_the_next() -> None:
    told: list[Event] = []
    backend = FakeScorer(DOWN, DOWN, DOWN, hangs(), reads())
    scorer = guarded(timed(backend), told=told)
    await asked(scorer, 3)
    await asyncio.sleep(5)
    await left(scorer, after_s=0.1)
    assert (await scorer.score(asking("1"))).raw == (1.0,)
    assert changes(told) == [OPEN, HALF_OPEN, CLOSED]


async def test_a_look_that_was_given_up_after_a_fair_time_opens_again() -> None:
    told: list[Event] = []
    scorer = guarded(timed(FakeScorer(DOWN, DOWN, DOWN, hangs())), told=told)
    await asked(scorer, 3)
    await asyncio.sleep(5)
    await left(scorer, after_s=0.6)
    assert changes(told) == [OPEN, HALF_OPEN, OPEN]


async def test_a_bug_of_ours_does_not_keep_the_turn_of_the_one_who_looks() -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    scorer = guarded(FakeScorer(DOWN, DOWN, DOWN, broken, reads()))  # type: ignore[arg-type] # it never gives scores
    await asked(scorer, 3)
    await asyncio.sleep(5)
    with pytest.raises(ZeroDivisionError):
        await scorer.score(asking("1"))
    assert (await scorer.score(asking("1"))).raw == (1.0,)


# Left alone


async def test_a_backend_that_asks_to_be_left_alone_is_without_blame() -> None:
    told: list[Event] = []
    backend = FakeScorer(
        fails(lambda: RateLimited("tei", "HTTP 429", retry_after_s=7.0)), reads()
    )
    scorer = guarded(backend, told=told)
    await asked(scorer, 10)
    assert len(backend.requests) == 1
    await asyncio.sleep(3)
    with pytest.raises(RateLimited, match=r"not asked for 4\.00 s more") as raised:
        await scorer.score(asking("1"))
    assert raised.value.retry_after_s == pytest.approx(4.0)
    await asyncio.sleep(4)
    await asked(scorer, 5)
    assert len(backend.requests) == 6
    assert changes(told) == [OPEN, CLOSED]


@pytest.mark.parametrize(("said_s", "waits_s"), [(None, 5.0), (2.0, 2.0)])
async def test_a_backend_that_is_loading_is_left_alone_without_blame(
    said_s: float | None, waits_s: float
) -> None:
    def loads() -> Unavailable:
        return Unavailable("tei", "HTTP 503", retry_after_s=said_s, loading=True)

    backend = FakeScorer(fails(loads))
    scorer = guarded(backend)
    for _ in range(10):
        await asked(scorer)
        with pytest.raises(Unavailable, match="it was loading") as raised:
            await scorer.score(asking("1"))
        assert raised.value.state is BackendState.LOADING
        assert not raised.value.blames_backend
        await asyncio.sleep(waits_s)
    assert len(backend.requests) == 10


async def test_whoever_asks_to_be_left_alone_for_another_reason_is_told_of() -> None:
    def later() -> Rejected:
        rejected = Rejected("tei", "HTTP 425", retry_after_s=2.0)
        rejected.transient = True
        return rejected

    scorer = guarded(FakeScorer(fails(later)))
    await asked(scorer)
    with pytest.raises(CircuitOpen, match="asked to be left alone") as raised:
        await scorer.score(asking("1"))
    assert raised.value.reason is FailureReason.CIRCUIT_OPEN
