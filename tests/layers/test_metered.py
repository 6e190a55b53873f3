"""Every call that may be billed is kept back for, and settled."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from gateway.backends.billing import CALLS, TOKENS
from gateway.backends.errors import (
    BackendError,
    CircuitOpen,
    Excess,
    Internal,
    Malformed,
    OutOfTime,
    Overloaded,
    RateLimited,
    Rejected,
    TimedOut,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.backends.unpaid import LedgerFailed, QuotaExceeded
from gateway.events import CallMetered, Event, TenantRefused
from gateway.layers.metered import Metered
from gateway.tenants.amounts import NOTHING, Amount, Price
from gateway.tenants.limits import Daily, Limits
from tests.support.ledgers import (
    MemoryLedger,
    daily,
    ledger,
    meter_of,
    paid_by,
)
from tests.support.scorers import (
    FakeScorer,
    Step,
    after,
    asking,
    fails,
    hangs,
    reads,
)

__all__ = ["ledger"]

UNIT = Amount(1, 1000, 0, 2_000_000, 0)


def bills(usage: Usage) -> Step:
    """Answer, and say what it cost."""

    async def step(scorer: FakeScorer, request: object) -> object:
        scores = await reads()(scorer, request)  # type: ignore[arg-type]  # a request
        return replace(scores, usage=usage)

    return step  # type: ignore[return-value]  # and scores


async def test_what_the_vendor_says_replaces_the_estimate(ledger: MemoryLedger) -> None:
    told: list[Event] = []
    scorer = Metered(
        FakeScorer(after(1, bills(Usage(search_units=3.0)))),
        meter=meter_of(ledger, {"acme": Limits()}, told.append),
    )
    asked = asyncio.create_task(scorer.score(paid_by("acme", asking("1"))))
    await asyncio.sleep(0.5)
    assert ledger.reserved() == UNIT
    await asked
    assert ledger.reserved() == NOTHING
    (line,) = ledger.lines()
    assert (line.spent, line.estimated) == (Amount(1, 3000, 0, 6_000_000, 0), 0)
    assert told == [CallMetered("acme", "fake", 1, 3.0, 0, 0.006)]


async def test_where_the_vendor_says_nothing_the_estimate_stands(
    ledger: MemoryLedger,
) -> None:
    scorer = Metered(FakeScorer(), meter=meter_of(ledger))
    await scorer.score(paid_by("acme", asking("1")))
    (line,) = ledger.lines()
    assert (line.spent, line.estimated) == (UNIT, 1)


async def test_who_bills_nothing_but_calls_leaves_nothing_to_estimate(
    ledger: MemoryLedger,
) -> None:
    price = Price(per_1000_calls=Decimal("0.5"))
    scorer = Metered(FakeScorer(), meter=meter_of(ledger, billing=CALLS, price=price))
    await scorer.score(paid_by("acme", asking("1")))
    (line,) = ledger.lines()
    assert (line.spent, line.estimated) == (Amount(1, 0, 0, 500_000, 0), 0)


async def test_what_has_no_price_is_counted_as_unpriced(ledger: MemoryLedger) -> None:
    scorer = Metered(
        FakeScorer(bills(Usage(tokens=7))),
        meter=meter_of(ledger, billing=TOKENS, price=Price()),
    )
    await scorer.score(paid_by("acme", asking("1")))
    assert ledger.spent() == Amount(1, 0, 7, 0, 1)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Unavailable("fake", "refused"),
        lambda: Unavailable("fake", "HTTP 500"),
        lambda: RateLimited("fake", "HTTP 429"),
        lambda: Rejected("fake", "HTTP 400"),
        lambda: Unauthenticated("fake", "HTTP 401"),
        lambda: TooLarge("fake", Excess.DOCUMENTS),
        lambda: CircuitOpen("fake", "open"),
        lambda: Overloaded("fake", "full"),
        lambda: OutOfTime("fake", 0.0, had_fair_chance=False),
    ],
)
async def test_what_was_refused_or_not_asked_costs_nothing(
    ledger: MemoryLedger, make: Callable[[], BackendError]
) -> None:
    scorer = Metered(FakeScorer(fails(make)), meter=meter_of(ledger))
    with pytest.raises(BackendError):
        await scorer.score(paid_by("acme", asking("1")))
    assert (ledger.spent(), ledger.reserved()) == (NOTHING, NOTHING)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TimedOut("fake", 2.0, had_fair_chance=True),
        lambda: OutOfTime("fake", 1.0, had_fair_chance=False),
        lambda: Unavailable("fake", "lost", lost=True),
        lambda: Malformed("fake", "no JSON"),
        lambda: Internal("fake", "a bug"),
    ],
)
async def test_of_what_may_have_been_done_the_estimate_stands(
    ledger: MemoryLedger, make: Callable[[], BackendError]
) -> None:
    scorer = Metered(FakeScorer(fails(make)), meter=meter_of(ledger))
    with pytest.raises(BackendError):
        await scorer.score(paid_by("acme", asking("1")))
    (line,) = ledger.lines()
    assert (line.spent, line.estimated) == (UNIT, 1)


async def test_of_a_call_that_was_given_up_the_estimate_stands(
    ledger: MemoryLedger,
) -> None:
    scorer = Metered(FakeScorer(hangs()), meter=meter_of(ledger))
    asked = asyncio.create_task(scorer.score(paid_by("acme", asking("1"))))
    await asyncio.sleep(1)
    asked.cancel()
    await asyncio.wait([asked])
    (line,) = ledger.lines()
    assert (line.spent, line.estimated) == (UNIT, 1)


async def test_beyond_a_quota_nobody_is_asked(ledger: MemoryLedger) -> None:
    told: list[Event] = []
    leaf = FakeScorer()
    scorer = Metered(
        leaf, meter=meter_of(ledger, {"acme": daily(search_units=1000)}, told.append)
    )
    await scorer.score(paid_by("acme", asking("1")))
    with pytest.raises(QuotaExceeded, match=r"than 1 daily\.fake\.search_units") as e:
        await scorer.score(paid_by("acme", asking("2")))
    assert e.value.retry_after_s == 43_200
    assert (e.value.transient, e.value.blames_backend) == (True, False)
    assert leaf.queries == ["q"]
    assert told[-1] == TenantRefused("acme", "daily_search_units")
    await scorer.score(paid_by("other", asking("2")))


async def test_beyond_a_budget_nobody_is_asked(ledger: MemoryLedger) -> None:
    limits = Limits(daily=Daily(budget=3_999_999))
    told: list[Event] = []
    scorer = Metered(
        FakeScorer(), meter=meter_of(ledger, {"acme": limits}, told.append)
    )
    await scorer.score(paid_by("acme", asking("1")))
    with pytest.raises(QuotaExceeded, match=r"than 0\.003999999 daily_budget"):
        await scorer.score(paid_by("acme", asking("2")))
    assert told[-1] == TenantRefused("acme", "daily_budget")


async def test_of_two_calls_for_the_last_unit_one_is_made(ledger: MemoryLedger) -> None:
    leaf = FakeScorer(after(1, reads()))
    scorer = Metered(leaf, meter=meter_of(ledger, {"acme": daily(search_units=1000)}))
    outcomes = await asyncio.gather(
        *(scorer.score(paid_by("acme", asking(each))) for each in "12"),
        return_exceptions=True,
    )
    assert sum(isinstance(each, QuotaExceeded) for each in outcomes) == 1
    assert len(leaf.requests) == 1


async def test_what_cannot_be_written_down_is_not_asked(ledger: MemoryLedger) -> None:
    ledger.fails = True
    leaf = FakeScorer()
    with pytest.raises(LedgerFailed, match="the ledger cannot be written"):
        await Metered(leaf, meter=meter_of(ledger)).score(paid_by("acme", asking("1")))
    assert leaf.requests == []


async def test_labels_are_written_down(ledger: MemoryLedger) -> None:
    scorer = Metered(FakeScorer(), meter=meter_of(ledger))
    await scorer.score(paid_by("acme", asking("1"), team="search"))
    (line,) = ledger.lines()
    assert line.account.labels == (("team", "search"),)


async def test_what_the_gateway_asks_by_itself_is_its_own_and_unlimited(
    ledger: MemoryLedger,
) -> None:
    limits = {name: daily(calls=0) for name in ("default", "anonymous")}
    await Metered(FakeScorer(), meter=meter_of(ledger, limits)).score(asking("1"))
    assert ledger.spent("(gateway)") == UNIT
