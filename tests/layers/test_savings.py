"""What memories and depth saved is written down."""

from gateway.backends.billing import TOKENS
from gateway.tenants.amounts import NOTHING, Amount, total
from tests.support.identities import by
from tests.support.ledgers import (
    MemoryLedger,
    ledger,
    meter_of,
    paid_by,
)
from tests.support.scorers import FakeScorer, asking
from tests.support.stacks import process_only, stacked

__all__ = ["ledger"]


def saved(ledger: MemoryLedger, tenant: str = "acme") -> Amount:
    return total(each.saved for each in ledger.lines(tenant=tenant))


async def test_what_is_remembered_saves_what_it_would_have_cost(
    ledger: MemoryLedger,
) -> None:
    meter = meter_of(ledger)
    scorer = stacked(FakeScorer(), chunk=100, memories=process_only(), meter=meter)
    await scorer.score(paid_by("acme", asking("1", "2")))
    assert saved(ledger) == NOTHING
    await scorer.score(paid_by("acme", asking("1", "2")))
    assert saved(ledger) == Amount(1, 1000, 0, 2_000_000, 0)
    assert ledger.spent().calls == 1


async def test_half_of_a_search_unit_saves_nothing_and_half_of_the_tokens_does(
    ledger: MemoryLedger,
) -> None:
    for billing, expected in ((None, 0), (TOKENS, 2)):
        meter = meter_of(ledger, billing=billing) if billing else meter_of(ledger)
        scorer = stacked(FakeScorer(), chunk=100, memories=process_only(), meter=meter)
        await scorer.score(paid_by("acme", asking("1")))
        await scorer.score(paid_by("acme", asking("1", "2")))
        assert saved(ledger) == Amount(tokens=expected)


async def test_what_is_not_put_to_the_model_is_saved(ledger: MemoryLedger) -> None:
    scorer = stacked(FakeScorer(), chunk=100, meter=meter_of(ledger))
    texts = [str(number) for number in range(250)]
    await scorer.score(paid_by("acme", asking(*texts, depth=100)))
    assert saved(ledger).search_units == 2000
    assert ledger.spent().search_units == 1000


async def test_an_answer_that_is_given_again_saves_for_who_asks_now(
    ledger: MemoryLedger,
) -> None:
    meter = meter_of(ledger)
    scorer = stacked(FakeScorer(), chunk=100, memories=process_only(), meter=meter)
    await scorer.score(paid_by("acme", asking("1")))
    again = (await scorer.score(paid_by("acme", asking("1")))).again
    assert again
    with by("other"):
        assert again()
        assert again()
    assert saved(ledger).calls == 1
    assert saved(ledger, "other").calls == 2
