"""What vectors cost is kept back, paid, or given back, and never counted twice."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal

import pytest

from gateway.backends.billing import CALLS, TOKENS
from gateway.backends.errors import BackendError, RateLimited, TimedOut, Unavailable
from gateway.backends.scorer import Usage
from gateway.backends.unpaid import LedgerFailed, QuotaExceeded
from gateway.retrieval.embedder import Asking, Embedder, Embeddings, Purpose, asking
from gateway.retrieval.embedders.batch import Batch
from gateway.retrieval.embedders.metered import Metered, Prepaid
from gateway.retrieval.embedders.remember import Remember
from gateway.tenants.amounts import NOTHING, Amount, Price
from gateway.tenants.limits import Limits
from gateway.tenants.metering import Meter
from tests.retrieval.embedders.played import NEVER, facts
from tests.support.embedders import FakeEmbedder, Step, fails, hangs, reads
from tests.support.identities import by
from tests.support.ledgers import MemoryLedger, daily, ledger, meter_of

__all__ = ["ledger"]

PRICE = Price(per_million_tokens=Decimal("0.02"), per_1000_calls=Decimal(1))


def bills(tokens: int = 7) -> Step:
    """Answer, and want so many tokens for each text."""

    async def step(fake: FakeEmbedder, texts: Sequence[str]) -> Embeddings:
        found = await reads()(fake, texts)
        usage = Usage(tokens=tokens * len(texts))
        return Embeddings(found.vectors, found.model, usage)

    return step


def meter(ledger: MemoryLedger, limits: Limits | None = None) -> Meter:
    known = {"acme": limits} if limits else None
    return meter_of(ledger, known, billing=TOKENS, price=PRICE)


def built(leaf: FakeEmbedder, paid: Meter, *, most: int = 2) -> Embedder:
    """Put the layers together as `gateway.compose.embedder` does."""
    known = facts(most)
    batch = Batch(Metered(leaf, meter=paid), backend="v", facts=known, in_flight=2)
    return Remember(
        Prepaid(batch, facts=known, meter=paid), max_bytes=1_000_000, ttl_s=100.0
    )


async def ask(
    embedder: Embedder, *texts: str, purpose: Purpose = Purpose.DOCUMENT
) -> Embeddings:
    return await embedder.embed(texts, purpose=purpose, deadline=NEVER)


def cost(tokens: int, calls: int) -> Amount:
    return Amount(calls, 0, tokens, tokens * 20 + calls * 1_000_000)


async def test_what_the_vendor_says_replaces_the_estimate(ledger: MemoryLedger) -> None:
    embedder = built(FakeEmbedder(bills()), meter(ledger))
    with by("acme"):
        await ask(embedder, "soup")
        await ask(embedder, "soup", "backups", "bread")
    assert ledger.spent("acme") == cost(28, 3)
    assert ledger.reserved("acme") == NOTHING
    assert [each.estimated for each in ledger.lines()] == [0]


async def test_each_pays_for_its_own(ledger: MemoryLedger) -> None:
    embedder = built(FakeEmbedder(bills()), meter(ledger))
    for tenant in ("acme", "beta", ""):
        with by(tenant):
            await ask(embedder, tenant or "nobody")
    assert [ledger.spent(each).calls for each in ("acme", "beta", "")] == [1, 1, 1]


async def test_labels_and_probes_have_lines_of_their_own(ledger: MemoryLedger) -> None:
    embedder = built(FakeEmbedder(bills()), meter(ledger))

    async def asked(said: Asking) -> None:
        asking.set(said)
        await ask(embedder, "soup")

    with by("acme"):
        await asyncio.create_task(asked(Asking(labels=(("team", "a"),))))
        await asyncio.create_task(asked(Asking(is_probe=True)))
    accounts = [(each.account.tenant, each.account.labels) for each in ledger.lines()]
    assert accounts == [("(gateway)", ()), ("acme", (("team", "a"),))]


async def test_a_query_that_is_remembered_costs_nothing(ledger: MemoryLedger) -> None:
    embedder = built(FakeEmbedder(bills()), meter(ledger))
    with by("acme"):
        for _ in range(3):
            await ask(embedder, "soup", purpose=Purpose.QUERY)
    assert ledger.spent("acme") == cost(7, 1)


async def test_without_means_nothing_is_asked(ledger: MemoryLedger) -> None:
    leaf = FakeEmbedder(bills())
    embedder = built(leaf, meter(ledger, daily(tokens=1)))
    with by("acme"), pytest.raises(QuotaExceeded, match=r"no more than 1 daily\.fake"):
        await ask(embedder, "soup")
    assert not leaf.calls
    assert (ledger.spent("acme"), ledger.reserved("acme")) == (NOTHING, NOTHING)


async def test_all_batches_can_be_paid_or_none_is_asked(ledger: MemoryLedger) -> None:
    leaf = FakeEmbedder(bills())
    embedder = built(leaf, meter(ledger, daily(calls=2)))
    with by("acme"):
        with pytest.raises(QuotaExceeded):
            await ask(embedder, *"abcde")
        assert not leaf.calls
        await ask(embedder, *"abcd")
    assert ledger.spent("acme") == cost(28, 2)


async def test_where_the_ledger_cannot_be_written_nothing_is_asked(
    ledger: MemoryLedger,
) -> None:
    leaf = FakeEmbedder(bills())
    ledger.fails = True
    with pytest.raises(LedgerFailed):
        await ask(built(leaf, meter(ledger)), "soup")
    assert not leaf.calls


@pytest.mark.parametrize(
    ("error", "spent"),
    [
        (Unavailable("v", "refused"), NOTHING),
        (RateLimited("v", "HTTP 429"), NOTHING),
        (TimedOut("v", after_s=1.0, had_fair_chance=True), cost(2, 1)),
    ],
    ids=lambda each: type(each).__name__,
)
async def test_what_was_refused_costs_nothing_and_what_was_lost_as_estimated(
    error: BackendError, spent: Amount, ledger: MemoryLedger
) -> None:
    embedder = built(FakeEmbedder(fails(lambda: error)), meter(ledger))
    with by("acme"), pytest.raises(type(error)):
        await ask(embedder, "soup")
    assert ledger.spent("acme") == spent
    assert ledger.reserved("acme") == NOTHING


async def test_what_was_given_up_costs_as_estimated(ledger: MemoryLedger) -> None:
    embedder = built(FakeEmbedder(hangs()), meter(ledger))
    with by("acme"):
        asked = asyncio.create_task(ask(embedder, "soup"))
        await asyncio.sleep(1)
        assert ledger.reserved("acme").tokens == 2
        asked.cancel()
        await asyncio.wait([asked])
    assert ledger.spent("acme") == cost(2, 1)
    assert ledger.reserved("acme") == NOTHING


async def test_who_tells_of_no_tokens_is_counted_as_estimated(
    ledger: MemoryLedger,
) -> None:
    with by("acme"):
        await ask(built(FakeEmbedder(bills(0)), meter(ledger)), "soup")
    (line,) = ledger.lines()
    assert (line.spent, line.estimated) == (cost(2, 1), 1)


async def test_one_without_a_price_is_unpriced_and_not_free(
    ledger: MemoryLedger,
) -> None:
    paid = meter_of(ledger, billing=CALLS, price=Price())
    with by("acme"):
        await ask(built(FakeEmbedder(reads()), paid), "soup")
    assert ledger.spent("acme") == Amount(1, unpriced=1)
