"""More calls than a backend can answer: it works as much as ever, for everybody a part."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from gateway.backends.errors import BackendError, Overloaded
from gateway.backends.scorer import Scorer
from gateway.layers.limit import Limit
from gateway.layers.timeout import Timeout
from tests.support.scorers import FakeScorer, after, asking, chooses, now, reads

IN_FLIGHT = 16
MEAN_S = 0.05
CAPACITY = IN_FLIGHT / MEAN_S

Takes = Callable[[random.Random], float]
"""How long a call takes the backend."""


def always_the_same(_: random.Random) -> float:
    return MEAN_S


def up_to_twice(chance: random.Random) -> float:
    return chance.uniform(0, 2 * MEAN_S)


def mostly_short(chance: random.Random) -> float:
    return chance.expovariate(1 / MEAN_S)


@dataclass(frozen=True, slots=True)
class Ended:
    """One call, with the times seen from where it began."""

    caller: str
    began: float
    after_s: float
    within_s: float
    error: BackendError | None

    @property
    def good(self) -> bool:
        return self.error is None and self.after_s <= self.within_s


@dataclass(frozen=True, slots=True)
class Load:
    """One caller: how many calls a second, and how long it waits for an answer."""

    caller: str
    rate: float
    within_s: float


class Backend:
    """A backend behind its own limit, and everything that was asked of it."""

    def __init__(self, takes: Takes, *, seed: int) -> None:
        self.chance = random.Random(seed)
        leaf = FakeScorer(chooses(lambda _: after(takes(self.chance), reads())))
        timed = Timeout(leaf, backend="tei", attempt_s=10.0, fair_s=0.5)
        self.scorer: Scorer = Limit(
            timed, backend="tei", in_flight=IN_FLIGHT, queued=256
        )
        self.ended: list[Ended] = []

    async def call(self, load: Load) -> None:
        began = now()
        request = replace(asking("1", within_s=load.within_s), caller=load.caller)
        error: BackendError | None = None
        try:
            await self.scorer.score(request)
        except BackendError as failed:
            error = failed
        self.ended.append(
            Ended(load.caller, began, now() - began, load.within_s, error)
        )

    async def under(self, *loads: Load, for_s: float) -> None:
        """Let callers come at random, each at its own rate."""

        async def coming(load: Load, calls: asyncio.TaskGroup) -> None:
            until = now() + for_s
            while True:
                await asyncio.sleep(self.chance.expovariate(load.rate))
                if now() > until:
                    return
                calls.create_task(self.call(load))

        async with asyncio.TaskGroup() as calls:
            for load in loads:
                calls.create_task(coming(load, calls))


def p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


@pytest.mark.parametrize("takes", [always_the_same, up_to_twice, mostly_short])
async def test_three_times_too_much_is_answered_as_far_as_the_backend_can(
    takes: Takes,
) -> None:
    backend = Backend(takes, seed=5)
    began = now()
    await backend.under(Load("a", 3 * CAPACITY, within_s=0.5), for_s=10)
    good = sum(each.good for each in backend.ended)
    assert good >= 0.9 * CAPACITY * (now() - began)
    refused = [each for each in backend.ended if isinstance(each.error, Overloaded)]
    assert len(refused) > CAPACITY * 10
    assert all(each.after_s < each.within_s for each in refused)
    # Most of them at once: their callers may do something else meanwhile.
    assert sum(each.after_s == 0 for each in refused) > 0.7 * len(refused)


# Where all calls take exactly as long, they may end in step, and who comes in between
# waits for the end of a step: no running call is ended for another one.
@pytest.mark.parametrize("takes", [up_to_twice, mostly_short])
async def test_a_greedy_caller_waits_for_himself_and_not_another_one_for_him(
    takes: Takes,
) -> None:
    modest = [Load(name, CAPACITY / 20, 2.0) for name in "bcdef"]
    greedy = Load("greedy", 3 * CAPACITY, 2.0)
    alone, beside = Backend(takes, seed=6), Backend(takes, seed=6)
    await alone.under(*modest, for_s=10)
    began = now()
    await beside.under(*modest, greedy, for_s=10)
    good = sum(each.good for each in beside.ended)
    assert good >= 0.9 * CAPACITY * (now() - began)

    def of_modest(backend: Backend) -> list[float]:
        ended = [each for each in backend.ended if each.caller != "greedy"]
        assert all(each.good for each in ended)
        return [each.after_s for each in ended]

    assert p99(of_modest(beside)) <= 1.2 * p99(of_modest(alone))
