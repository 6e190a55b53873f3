"""Why what counts money stands where it does: whoever moves it fails here.

    Admission ▸ Fallback ▸ [ Savings ▸ Depth ▸ … ▸ Passages ▸ Prepaid ▸ Chunk ▸ … ▸
    Limit ▸ Metered ▸ Breaker ▸ … ]

Where no tenants are configured, none of these is there.
"""

import asyncio
from dataclasses import replace

import pytest

from gateway.backends.billing import TOKENS
from gateway.backends.errors import Unavailable
from gateway.backends.scorer import ScoreRequest
from gateway.backends.unpaid import QuotaExceeded
from gateway.events import AttemptEnded, CircuitChanged, Event
from gateway.layers.depth import Depth
from gateway.ranking.passages import WORDS, split
from gateway.tenants.amounts import NOTHING
from tests.support.ledgers import (
    MemoryLedger,
    daily,
    ledger,
    meter_of,
    paid_by,
)
from tests.support.scorers import (
    FakeScorer,
    after,
    asking,
    chooses,
    fails,
    reads,
)
from tests.support.stacks import (
    LONG,
    attempts_in,
    is_down,
    process_only,
    refuses_long,
    stacked,
)

__all__ = ["ledger"]


def acme(*texts: str) -> ScoreRequest:
    return paid_by("acme", asking(*texts))


def test_where_there_are_no_tenants_there_is_nothing_to_count() -> None:
    scorer = stacked(FakeScorer())
    assert isinstance(scorer, Depth)


@pytest.mark.parametrize("has_tenants", [True, False])
async def test_places_are_kept_free_for_tenants_alone(
    has_tenants: bool,  # noqa: FBT001 - a parameter of a test
    ledger: MemoryLedger,
) -> None:
    """Without them a caller is whatever it says that it is."""
    leaf = FakeScorer(after(1, reads()))
    meter = meter_of(ledger) if has_tenants else None
    scorer = stacked(leaf, in_flight=4, meter=meter)
    await scorer.score(replace(acme("0"), caller="b"))
    leaf.most_running = 0
    async with asyncio.TaskGroup() as group:
        for each in "12345678":
            group.create_task(scorer.score(replace(acme(each), caller="a")))
    assert leaf.most_running == (3 if has_tenants else 4)


# Limit ▸ Metered


async def test_who_gives_up_in_our_own_queue_pays_for_nothing(
    ledger: MemoryLedger,
) -> None:
    scorer = stacked(
        FakeScorer(after(1.5, reads())), in_flight=1, meter=meter_of(ledger)
    )
    asked = asyncio.create_task(scorer.score(acme("1")))
    waits = asyncio.create_task(scorer.score(acme("2")))
    await asyncio.sleep(1)
    assert ledger.reserved().calls == 1
    waits.cancel()
    await asyncio.wait([waits])
    await asked
    assert ledger.spent().calls == 1


# Metered ▸ Breaker


async def test_a_tenant_without_means_closes_the_backend_to_nobody(
    ledger: MemoryLedger,
) -> None:
    told: list[Event] = []
    meter = meter_of(ledger, {"acme": daily(calls=0)})
    scorer = stacked(FakeScorer(), told=told, failures_in_a_row=1, meter=meter)
    for _ in range(3):
        with pytest.raises(QuotaExceeded):
            await scorer.score(acme("1"))
    assert (await scorer.score(paid_by("other", asking("1")))).complete
    assert not [each for each in told if isinstance(each, CircuitChanged)]


async def test_what_is_not_asked_for_want_of_means_is_no_call_of_the_backend(
    ledger: MemoryLedger,
) -> None:
    told: list[Event] = []
    meter = meter_of(ledger, {"acme": daily(calls=0)})
    with pytest.raises(QuotaExceeded):
        await stacked(FakeScorer(), told=told, meter=meter).score(acme("1"))
    assert not [each for each in told if isinstance(each, AttemptEnded)]


async def test_what_an_open_circuit_refused_costs_nothing(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeScorer(after(1, is_down()))
    scorer = stacked(
        leaf, in_flight=1, failures_in_a_row=1, retries=0, meter=meter_of(ledger)
    )
    await asyncio.gather(
        *(scorer.score(acme(each)) for each in "12"), return_exceptions=True
    )
    assert len(leaf.requests) == 1
    assert (ledger.spent(), ledger.reserved()) == (NOTHING, NOTHING)


# Retry, Hedge and Balance above Metered


async def test_every_try_is_counted_and_each_is_allowed_anew(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeScorer(fails(lambda: Unavailable("fake", "lost", lost=True)), reads())
    meter = meter_of(ledger, {"acme": daily(search_units=1000)})
    scorer = stacked(leaf, meter=meter)
    # The first may have been billed, and there is nothing left for another one.
    with pytest.raises(QuotaExceeded):
        await scorer.score(acme("1"))
    assert len(leaf.requests) == 1
    assert ledger.spent().calls == 1


async def test_both_sides_of_a_hedge_are_counted(ledger: MemoryLedger) -> None:
    servers = [FakeScorer(after(1.5, reads())) for _ in range(2)]
    scorer = stacked(*servers, hedge_after_s=1.0, meter=meter_of(ledger))
    await scorer.score(acme("1"))
    assert ledger.spent().calls == 2


async def test_a_hedge_that_cannot_be_paid_fails_nobody(ledger: MemoryLedger) -> None:
    meter = meter_of(ledger, {"acme": daily(calls=1)})
    leaf = FakeScorer(after(1.5, reads()))
    assert (
        await stacked(leaf, hedge_after_s=1.0, meter=meter).score(acme("1"))
    ).complete
    assert len(leaf.requests) == 1


async def test_a_call_that_another_server_took_is_paid_once(
    ledger: MemoryLedger,
) -> None:
    servers = [FakeScorer(after(1, reads())) for _ in range(2)]
    scorer = stacked(*servers, in_flight=1, queued=0, meter=meter_of(ledger))
    await asyncio.gather(*(scorer.score(acme(each)) for each in "12"))
    assert ledger.spent().calls == 2


# Shorten above Metered


async def test_what_is_asked_again_shorter_is_a_call_of_its_own(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeScorer(chooses(refuses_long))
    await stacked(leaf, meter=meter_of(ledger)).score(acme(LONG))
    # The vendor refused the first one, and did not bill it.
    assert (len(leaf.requests), ledger.spent().calls) == (2, 1)


# SingleFlight, Cache above Metered


async def test_what_is_shared_is_paid_once_and_each_tenant_pays_its_own(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeScorer(after(1, reads()))
    meter = meter_of(ledger, {"poor": daily(calls=0)})
    scorer = stacked(leaf, meter=meter)
    outcomes = await asyncio.gather(
        *(scorer.score(acme("1")) for _ in range(3)),
        scorer.score(paid_by("poor", asking("1"))),
        scorer.score(paid_by("other", asking("1"))),
        return_exceptions=True,
    )
    assert ledger.spent("acme").calls == 1
    assert ledger.spent("other").calls == 1
    # One's lack of means is no other one's.
    assert [isinstance(each, Exception) for each in outcomes] == [
        *(False, False, False),
        *(True, False),
    ]


async def test_what_is_remembered_costs_nothing_also_who_may_use_nothing(
    ledger: MemoryLedger,
) -> None:
    meter = meter_of(ledger, {"poor": daily(calls=0)})
    scorer = stacked(FakeScorer(), memories=process_only(), meter=meter)
    await scorer.score(acme("1"))
    assert (await scorer.score(paid_by("poor", asking("1")))).cached == {0}


# Passages ▸ Prepaid ▸ Chunk


async def test_of_a_request_that_cannot_be_paid_no_chunk_is_asked(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeScorer()
    scorer = stacked(leaf, meter=meter_of(ledger, {"acme": daily(calls=2)}))
    with pytest.raises(QuotaExceeded):
        await scorer.score(acme(*"12345"))
    assert leaf.requests == []
    assert (ledger.spent(), ledger.reserved()) == (NOTHING, NOTHING)
    assert (await scorer.score(acme(*"1234"))).complete
    assert ledger.spent().calls == 2


async def test_passages_are_paid_as_the_documents_that_they_are(
    ledger: MemoryLedger,
) -> None:
    text = "word " * 2 * WORDS
    count = len(split(text, most=10)[0])
    request = replace(acme(text), passages=10)
    leaf = FakeScorer()
    meter = meter_of(ledger, {"acme": daily(calls=count - 1)})
    with pytest.raises(QuotaExceeded):
        await stacked(leaf, chunk=1, meter=meter).score(request)
    assert leaf.requests == []
    meter = meter_of(ledger, {"acme": daily(calls=count)})
    assert (await stacked(leaf, chunk=1, meter=meter).score(request)).complete


async def test_what_a_failed_request_had_left_is_given_back(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeScorer(is_down())
    scorer = stacked(leaf, in_flight=1, retries=0, meter=meter_of(ledger))
    with pytest.raises(Unavailable):
        await scorer.score(acme(*"12345"))
    assert (ledger.spent(), ledger.reserved()) == (NOTHING, NOTHING)


async def test_each_chunk_is_settled_for_itself(ledger: MemoryLedger) -> None:
    told: list[Event] = []
    meter = meter_of(ledger, billing=TOKENS)
    await stacked(FakeScorer(), told=told, meter=meter).score(acme(*"12345"))
    assert len(attempts_in(told)) == ledger.spent().calls == 3
    assert ledger.reserved() == NOTHING


# Savings ▸ Depth


async def test_what_stands_beyond_the_depth_is_saved_and_not_asked(
    ledger: MemoryLedger,
) -> None:
    meter = meter_of(ledger, billing=TOKENS)
    await stacked(FakeScorer(), top_k=2, meter=meter).score(acme(*"12345"))
    (line,) = ledger.lines()
    assert line.saved.tokens == 6
