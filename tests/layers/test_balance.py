"""Send each call to the replica that has the least to do."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from gateway.backends.errors import (
    Attempt,
    BackendError,
    CircuitOpen,
    FailureReason,
    Overloaded,
    Rejected,
    Unavailable,
)
from gateway.backends.scorer import ScoreRequest, Scores
from gateway.events import CircuitState, Event
from gateway.layers.balance import Balance, Replica
from gateway.layers.breaker import Breaker
from gateway.layers.circuit import Circuit
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


class Fleet:
    """Some replicas, by name, and a balance over them."""

    def __init__(self, seed: int = 1, **steps: Step) -> None:
        self.backends = {name: FakeScorer(step) for name, step in steps.items()}
        self.open: set[str] = set()
        self.balance = Balance(
            tuple(
                Replica(name=name, scorer=scorer, is_open=self._is_open(name))
                for name, scorer in self.backends.items()
            ),
            backend="tei",
            chance=Random(seed),
        )

    def _is_open(self, name: str) -> Callable[[], bool]:
        return lambda: name in self.open

    @property
    def calls(self) -> dict[str, int]:
        return {name: len(each.requests) for name, each in self.backends.items()}

    async def ask(self, times: int = 1, *, every_s: float = 0.0) -> list[object]:
        async def call(place: int) -> object:
            await asyncio.sleep(place * every_s)
            return await self.balance.score(asking("1"))

        return await asyncio.gather(
            *(call(place) for place in range(times)), return_exceptions=True
        )


def a_circuit() -> Circuit:
    return Circuit(
        failures_in_row=3,
        failure_rate=0.5,
        window_s=10,
        min_calls=10,
        cooldown_s=5,
        max_cooldown_s=10,
    )


def refusing(circuit: Circuit) -> Callable[[], bool]:
    return lambda: circuit.refusal(now()) is not None


def quick(seconds: float = 0.05) -> Step:
    return after(seconds, reads())


def down() -> Step:
    return fails(lambda: Unavailable("tei", "refused"))


# Who is chosen


async def test_one_replica_is_asked_everything() -> None:
    fleet = Fleet(a=quick())
    await fleet.ask(3)
    assert fleet.calls == {"a": 3}


async def test_calls_at_once_are_spread_evenly() -> None:
    fleet = Fleet(a=quick(), b=quick(), c=quick(), d=quick())
    await fleet.ask(100)
    assert all(20 <= count <= 30 for count in fleet.calls.values())


async def test_one_after_the_other_every_replica_gets_its_part() -> None:
    fleet = Fleet(a=quick(), b=quick(), c=quick())
    await fleet.ask(300, every_s=0.1)
    assert all(count >= 50 for count in fleet.calls.values())


async def test_a_slow_replica_gets_less() -> None:
    fleet = Fleet(slow=quick(0.5), quick=quick(0.05))
    await fleet.ask(1000, every_s=0.02)
    assert fleet.calls["slow"] < 100


async def test_a_replica_that_is_new_is_not_flooded() -> None:
    fleet = Fleet(known=quick(0.05), new=quick(5))
    fleet.open.add("new")
    await fleet.ask(20, every_s=0.1)
    fleet.open.clear()
    await fleet.ask(50, every_s=0.1)
    assert 1 <= fleet.calls["new"] <= 3


async def test_a_replica_that_was_slow_is_asked_again_after_a_while() -> None:
    fleet = Fleet(a=quick(), b=quick())
    fleet.backends["a"]._steps = (quick(3.0), quick(0.05))
    await fleet.ask(2)
    after_a_while = fleet.calls["a"]
    await fleet.ask(1000, every_s=0.1)
    assert fleet.calls["a"] - after_a_while > 50


async def test_a_replica_that_fails_quickly_does_not_look_quick() -> None:
    fleet = Fleet(good=quick(0.2), broken=down())
    await fleet.ask(500, every_s=0.1)
    assert fleet.calls["broken"] < 30


async def test_what_is_no_fault_of_a_replica_does_not_slow_it() -> None:
    fleet = Fleet(a=fails(lambda: Rejected("tei", "HTTP 400")), b=quick(0.05))
    given = await fleet.ask(100, every_s=0.1)
    assert sum(isinstance(each, Rejected) for each in given) > 10


async def test_a_call_that_was_given_up_shows_that_it_was_slow() -> None:
    fleet = Fleet(hangs=hangs(), quick=quick())
    for _ in range(100):
        asked = asyncio.create_task(fleet.balance.score(asking("1")))
        await asyncio.wait([asked], timeout=0.5)
        asked.cancel()
        await asyncio.wait([asked])
    assert fleet.calls["hangs"] < 12
    assert fleet.backends["hangs"].running == 0


async def test_the_same_chance_chooses_the_same() -> None:
    one, other = (
        Fleet(seed=7, a=quick(), b=quick()),
        Fleet(seed=7, a=quick(), b=quick()),
    )
    await one.ask(50)
    await other.ask(50)
    assert one.calls == other.calls


# Another one than before


@pytest.mark.parametrize("seed", range(10))
async def test_a_further_attempt_goes_to_another_replica(seed: int) -> None:
    fleet = Fleet(seed, a=quick(), b=quick(), c=quick())
    request = replace(asking("1"), asked=set())
    for _ in range(3):
        await fleet.balance.score(request)
    assert fleet.calls == {"a": 1, "b": 1, "c": 1}
    assert request.asked == {"a", "b", "c"}


async def test_when_all_were_asked_any_may_be_asked_again() -> None:
    fleet = Fleet(a=quick(), b=quick())
    request = replace(asking("1"), asked={"a", "b"})
    assert (await fleet.balance.score(request)).raw == (1.0,)


async def test_an_attempt_at_the_same_time_goes_to_another_replica() -> None:
    fleet = Fleet(a=quick(), b=quick())
    request = replace(asking("1"), asked=set())
    await asyncio.gather(fleet.balance.score(request), fleet.balance.score(request))
    assert fleet.calls == {"a": 1, "b": 1}


# Open circuits and full queues


async def test_an_open_circuit_is_passed_by() -> None:
    fleet = Fleet(a=quick(), b=quick())
    fleet.open.add("a")
    await fleet.ask(20)
    assert fleet.calls == {"a": 0, "b": 20}


async def test_an_open_circuit_is_passed_by_even_for_the_one_asked_before() -> None:
    fleet = Fleet(a=quick(), b=quick())
    fleet.open.add("a")
    await fleet.balance.score(replace(asking("1"), asked={"b"}))
    assert fleet.calls == {"a": 0, "b": 1}


async def test_when_every_circuit_is_open_the_call_fails_at_once() -> None:
    fleet = Fleet(a=quick(), b=quick())
    fleet.open.update("ab")
    began = now()
    with pytest.raises(CircuitOpen, match="tei: none of 2 replicas may be asked"):
        await fleet.balance.score(asking("1"))
    assert now() == began
    assert fleet.calls == {"a": 0, "b": 0}


async def test_a_circuit_that_lets_one_through_to_see_brings_its_replica_back() -> None:
    fleet = Fleet(a=quick(), b=quick())
    await fleet.ask(20, every_s=0.1)
    fleet.open.add("a")
    await fleet.ask(200, every_s=0.1)
    ejected = fleet.calls["a"]
    fleet.open.clear()
    await fleet.ask(2)
    assert fleet.calls["a"] == ejected + 1


@pytest.mark.parametrize("broken", [down(), hangs()], ids=["fails", "hangs"])
async def test_a_fleet_that_was_down_comes_back_by_its_own_circuits(
    broken: Step,
) -> None:
    works = True
    told: list[Event] = []

    def choose(_: ScoreRequest) -> Step:
        return quick() if works else broken

    circuits = {name: a_circuit() for name in "ab"}
    replicas = tuple(
        Replica(
            name=name,
            scorer=Breaker(
                Timeout(
                    FakeScorer(chooses(choose)), backend="tei", attempt_s=1, fair_s=0.5
                ),
                backend="tei",
                circuit=circuit,
                fair_s=0.5,
                emit=told.append,
            ),
            is_open=refusing(circuit),
        )
        for name, circuit in circuits.items()
    )
    balance = Balance(replicas, backend="tei", chance=Random(1))

    async def answered(times: int) -> int:
        async def call(place: int) -> object:
            await asyncio.sleep(place * 0.1)
            return await balance.score(asking("1"))

        given = await asyncio.gather(
            *(call(place) for place in range(times)), return_exceptions=True
        )
        return sum(isinstance(each, Scores) for each in given)

    assert await answered(20) == 20
    works = False
    assert await answered(40) == 0
    assert all(each.refusal(now()) for each in circuits.values())
    works = True
    await asyncio.sleep(10)
    assert await answered(20) >= 19
    await asyncio.sleep(10)
    assert await answered(20) == 20
    assert [each.state(now()) for each in circuits.values()] == [
        CircuitState.CLOSED
    ] * 2


@pytest.mark.parametrize("kind", [CircuitOpen, Overloaded])
@pytest.mark.parametrize("seed", range(5))
async def test_a_replica_that_refuses_unasked_leaves_the_call_to_the_next(
    seed: int, kind: type[BackendError]
) -> None:
    fleet = Fleet(seed, a=fails(lambda: kind("tei", "not now")), b=quick())
    assert (await fleet.balance.score(asking("1"))).raw == (1.0,)
    assert fleet.calls["b"] == 1


async def test_refusals_that_were_written_down_stay_so() -> None:
    attempt = Attempt("tei", "m", FailureReason.CIRCUIT_OPEN, 0.0, 1)

    def refusal() -> BackendError:
        error = CircuitOpen("tei", "failed too often")
        error.add(attempt)
        return error

    fleet = Fleet(a=fails(refusal), b=fails(refusal), c=quick())
    given = [
        await fleet.balance.score(replace(asking("1"), asked=asked))
        for asked in ({"c"}, {"b", "c"}, {"a", "c"})
    ]
    assert [scores.attempts for scores in given] == [(attempt, attempt)] * 3
    fleet.open.add("c")
    with pytest.raises(CircuitOpen) as raised:
        await fleet.balance.score(asking("1"))
    assert raised.value.attempts == (attempt, attempt)


async def test_when_all_refuse_each_was_tried_once() -> None:
    full = fails(lambda: Overloaded("tei", "8 calls wait for it"))
    fleet = Fleet(a=full, b=full, c=full)
    with pytest.raises(Overloaded):
        await fleet.balance.score(asking("1"))
    assert fleet.calls == {"a": 1, "b": 1, "c": 1}


async def test_a_refusal_at_the_deadline_is_the_last_one() -> None:
    late = after(1, fails(lambda: Overloaded("tei", "its turn came too late")))
    fleet = Fleet(a=late, b=late)
    with pytest.raises(Overloaded):
        await fleet.balance.score(asking("1", within_s=1))
    assert sum(fleet.calls.values()) == 1


async def test_a_failure_is_not_cured_here() -> None:
    fleet = Fleet(a=down(), b=down())
    with pytest.raises(Unavailable):
        await fleet.balance.score(asking("1"))
    assert sum(fleet.calls.values()) == 1
