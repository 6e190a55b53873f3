"""What retries, hedges and shared calls bring together, and what they cost the backend."""

import asyncio
from dataclasses import dataclass, field
from random import Random

import pytest

from gateway.backends.errors import OutOfTime, Unavailable
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.events import Event, Hedged
from gateway.layers.balance import Balance, Replica
from gateway.layers.budget import Budget
from gateway.layers.hedge import Hedge
from gateway.layers.latency import Latency
from gateway.layers.record import Record
from gateway.layers.retry import Retry
from gateway.layers.single_flight import SingleFlight
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

INITIAL = 5


@dataclass
class Backend:
    """Two replicas under everything that may ask more than once."""

    step: Step
    hedges: bool = True
    attempt_s: float = 5.0
    told: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.replicas = [FakeScorer(self.step) for _ in range(2)]

    @property
    def calls(self) -> int:
        return sum(len(each.requests) for each in self.replicas)

    @property
    def running(self) -> int:
        return sum(each.running for each in self.replicas)

    def scorer(self) -> Scorer:
        budget = Budget(share=0.1, initial=INITIAL, most=INITIAL)
        scorer: Scorer = Balance(
            tuple(
                Replica(
                    name=f"tei-{place}",
                    scorer=self._alone(replica),
                    is_open=lambda: False,
                )
                for place, replica in enumerate(self.replicas)
            ),
            backend="tei",
            chance=Random(1),
        )
        if self.hedges:
            scorer = Hedge(
                scorer,
                backend="tei",
                delay_s=None,
                latency=Latency(quantile=0.95, last=100, enough=20),
                budget=budget,
                emit=self.told.append,
            )
        scorer = Retry(
            scorer,
            backend="tei",
            most=2,
            pause_s=0.05,
            longest_pause_s=1.0,
            fair_s=0.5,
            budget=budget,
            chance=Random(2),
            emit=self.told.append,
        )
        return SingleFlight(scorer, backend="tei", fair_s=0.5, emit=self.told.append)

    def _alone(self, replica: FakeScorer) -> Scorer:
        timed = Timeout(replica, backend="tei", attempt_s=self.attempt_s, fair_s=0.5)
        facts = Facts(max_documents=8, model="m", fixed=True)
        return Record(timed, backend="tei", facts=facts, emit=self.told.append)


async def durations(scorer: Scorer, count: int, *, every_s: float) -> list[float]:
    """Ask different things at a steady pace, and give how long each took, sorted."""

    async def call(place: int) -> float:
        await asyncio.sleep(place * every_s)
        began = now()
        await scorer.score(asking("1", query=str(place)))
        return now() - began

    return sorted(await asyncio.gather(*(call(place) for place in range(count))))


async def failures(scorer: Scorer, count: int, *, every_s: float) -> int:
    async def call(place: int) -> Scores:
        await asyncio.sleep(place * every_s)
        return await scorer.score(asking("1", query=str(place)))

    given = await asyncio.gather(
        *(call(place) for place in range(count)), return_exceptions=True
    )
    return sum(isinstance(each, BaseException) for each in given)


# Identical calls


async def test_a_hundred_identical_calls_at_once_are_one_call() -> None:
    backend = Backend(after(0.2, reads()))
    scorer = backend.scorer()
    given = await asyncio.gather(*(scorer.score(asking("1")) for _ in range(100)))
    assert [scores.raw for scores in given] == [(1.0,)] * 100
    assert backend.calls == 1


async def test_when_ninety_nine_leave_the_last_one_gets_its_answer() -> None:
    backend = Backend(after(2, reads()))
    scorer = backend.scorer()
    asked = [asyncio.create_task(scorer.score(asking("1"))) for _ in range(100)]
    await asyncio.sleep(1)
    for leaving in asked[:99]:
        leaving.cancel()
    assert (await asked[99]).raw == (1.0,)
    assert all(each.cancelled() for each in asked[:99])
    assert backend.calls == 1


@pytest.mark.parametrize("delay_is_known", [False, True])
async def test_when_all_leave_nothing_is_left(*, delay_is_known: bool) -> None:
    def choose(request: ScoreRequest) -> Step:
        return hangs() if request.query == "hangs" else after(0.05, reads())

    backend = Backend(chooses(choose))
    scorer = backend.scorer()
    if delay_is_known:
        await durations(scorer, 50, every_s=0.1)
    before = backend.calls
    asked = [
        asyncio.create_task(scorer.score(asking("1", query="hangs")))
        for _ in range(100)
    ]
    await asyncio.sleep(1)
    made = backend.calls - before
    assert made == (2 if delay_is_known else 1)
    for leaving in asked:
        leaving.cancel()
    await asyncio.wait(asked)
    assert sum(len(each.cancelled) for each in backend.replicas) == made
    assert backend.running == 0


# A slow tail


def with_a_tail(seed: int) -> Step:
    """Answer in about 50 ms, but 3 % of the time in 2 s."""
    chance = Random(seed)

    def choose(_: ScoreRequest) -> Step:
        slow = chance.random() < 0.03
        return after(2.0 if slow else chance.uniform(0.045, 0.055), reads())

    return chooses(choose)


@pytest.mark.parametrize("seed", range(3))
async def test_a_slow_tail_is_cut_for_a_few_more_calls(seed: int) -> None:
    count = 2000
    plain, hedged = (
        Backend(with_a_tail(seed), hedges=hedges) for hedges in (False, True)
    )
    tail_s = (await durations(plain.scorer(), count, every_s=0.05))[-count // 100]
    cut_s = (await durations(hedged.scorer(), count, every_s=0.05))[-count // 100]
    assert plain.calls == count
    assert tail_s == pytest.approx(2.0)
    assert cut_s <= tail_s / 5
    assert hedged.calls <= count * 1.07
    assert any(isinstance(event, Hedged) and event.won for event in hedged.told)


async def test_equal_durations_are_not_all_hedged() -> None:
    backend = Backend(after(0.05, reads()))
    await durations(backend.scorer(), 1000, every_s=0.02)
    assert backend.calls <= 1000 * 1.07


# A full outage


@pytest.mark.parametrize("every_s", [0.001, 0.1])
async def test_an_outage_is_not_made_worse_by_retries(every_s: float) -> None:
    backend = Backend(fails(lambda: Unavailable("tei", "refused")))
    count = 1000
    assert await failures(backend.scorer(), count, every_s=every_s) == count
    assert backend.calls <= INITIAL + count * 1.1


async def test_a_backend_that_hangs_is_not_made_worse_by_hedges_and_retries() -> None:
    good = True

    def choose(_: ScoreRequest) -> Step:
        return after(0.05, reads()) if good else hangs()

    backend = Backend(chooses(choose), attempt_s=1.0)
    scorer = backend.scorer()
    await durations(scorer, 200, every_s=0.02)
    good = False
    before, count = backend.calls, 1000
    assert await failures(scorer, count, every_s=0.01) == count
    assert backend.calls - before <= INITIAL + count * 1.1
    assert backend.running == 0


async def test_identical_calls_out_of_time_together_ask_once() -> None:
    backend = Backend(hangs())
    scorer = backend.scorer()

    async def call(place: int) -> None:
        await asyncio.sleep(place / 1000)
        with pytest.raises(OutOfTime):
            await scorer.score(asking("1", within_s=1))

    await asyncio.gather(*(call(place) for place in range(50)))
    assert backend.calls == 1
