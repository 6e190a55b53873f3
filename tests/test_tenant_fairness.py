"""A greedy tenant makes nobody else slow, and pushes nobody else's scores out."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

from gateway.backends.errors import BackendError
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.compose.memories import Memories, Tier
from gateway.identity.caller import Caller, caller
from gateway.layers.admission import Admission
from gateway.layers.process_memory import ProcessMemory
from gateway.layers.tenant_memory import tenant_memory
from gateway.tenants.counting import Requests
from gateway.tenants.limits import Limits
from gateway.tenants.metering import Meter
from gateway.tenants.tenants import Tenants
from tests.support.caches import SECRET
from tests.support.ledgers import MemoryLedger, ledger, meter_of
from tests.support.scorers import FakeScorer, asking, now, reads
from tests.support.stacks import stacked

__all__ = ["ledger"]

CALLS = 200
IN_FLIGHT = 16


def takes_about_100_ms(chance: Random) -> FakeScorer:
    async def step(scorer: FakeScorer, request: ScoreRequest) -> Scores:
        await asyncio.sleep(chance.uniform(0.08, 0.12))
        return await reads()(scorer, request)

    return FakeScorer(step)


def gateway(
    meter: Meter, *, greedy: Limits, kept_free: int | None = None
) -> tuple[Scorer, ProcessMemory]:
    memory = tenant_memory(max_bytes=1_000_000)
    scorer = stacked(
        takes_about_100_ms(Random(7)),
        chunk=100,
        in_flight=IN_FLIGHT,
        queued=256,
        timeout_s=10,
        memories=Memories((Tier(memory, "process"),), ttl_s=300.0, secret=SECRET),
        meter=meter,
        kept_free=kept_free,
    )
    tenants = Tenants({"greedy": greedy, "modest": Limits()})
    return Admission(scorer, requests=Requests(tenants, lambda _: None)), memory


def as_tenant(name: str, asked: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    async def run() -> None:
        caller.set(Caller(name))
        await asked()

    return asyncio.create_task(run())


async def waited_by_modest(scorer: Scorer, *, beside_greedy: bool) -> list[float]:
    """Give how long a modest tenant's calls took, in their order of length."""
    took: list[float] = []
    over = asyncio.Event()

    async def modest() -> None:
        for number in range(CALLS):
            began = now()
            await scorer.score(asking(f"{number}", query="modest"))
            took.append(now() - began)
            await asyncio.sleep(0.02)
        over.set()

    async def greedy(each: int) -> None:
        number = 0
        while not over.is_set():
            number += 1
            try:
                await scorer.score(asking(f"{number}", query=f"greedy {each}"))
            except BackendError:
                await asyncio.sleep(1)

    others = 60 if beside_greedy else 0
    tasks = [as_tenant("greedy", partial(greedy, each)) for each in range(others)]
    await asyncio.sleep(1)
    await as_tenant("modest", modest)
    await asyncio.gather(*tasks)
    return sorted(took)


def p99(took: list[float]) -> float:
    return took[int(len(took) * 0.99)]


async def test_a_greedy_tenant_leaves_others_as_they_are(
    ledger: MemoryLedger,
) -> None:
    alone, _ = gateway(meter_of(ledger), greedy=Limits())
    beside, _ = gateway(meter_of(ledger), greedy=Limits())
    quiet = await waited_by_modest(alone, beside_greedy=False)
    busy = await waited_by_modest(beside, beside_greedy=True)
    assert p99(busy) <= 1.02 * p99(quiet)


async def test_without_slots_kept_free_it_waits_for_the_first_call_that_ends(
    ledger: MemoryLedger,
) -> None:
    """What they are for."""
    alone, _ = gateway(meter_of(ledger), greedy=Limits())
    beside, _ = gateway(meter_of(ledger), greedy=Limits(), kept_free=0)
    quiet = await waited_by_modest(alone, beside_greedy=False)
    busy = await waited_by_modest(beside, beside_greedy=True)
    assert 1.05 * p99(quiet) < p99(busy) <= 1.2 * p99(quiet)


async def test_a_bound_on_its_calls_at_once_leaves_others_as_they_are(
    ledger: MemoryLedger,
) -> None:
    bound = Limits(at_once=IN_FLIGHT - 2)
    alone, _ = gateway(meter_of(ledger), greedy=Limits())
    beside, _ = gateway(meter_of(ledger), greedy=bound, kept_free=0)
    quiet = await waited_by_modest(alone, beside_greedy=False)
    busy = await waited_by_modest(beside, beside_greedy=True)
    assert p99(busy) <= 1.02 * p99(quiet)


async def test_a_greedy_tenant_pushes_no_others_scores_out(
    ledger: MemoryLedger,
) -> None:
    scorer, memory = gateway(meter_of(ledger), greedy=Limits())
    texts = [str(number) for number in range(100)]
    caller.set(Caller("modest"))
    await scorer.score(asking(*texts, query="modest"))
    caller.set(Caller("greedy"))
    for number in range(40):
        await scorer.score(asking(*texts, query=f"greedy {number}"))
    assert memory.displaced > 1000
    caller.set(Caller("modest"))
    again = await scorer.score(asking(*texts, query="modest"))
    assert len(again.cached) == 100
