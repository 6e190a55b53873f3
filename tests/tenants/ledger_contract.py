"""What every ledger does, whatever it is written in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from random import Random

from gateway.tenants.amounts import NOTHING, Amount, total
from gateway.tenants.ledger import (
    MOST_LABELS,
    OTHER,
    Account,
    Excess,
    Ledger,
    Line,
    Reservation,
)
from gateway.tenants.limits import Daily, Quota
from tests.support.ledgers import NOON

DAY = NOON.today()
ACME = Account(DAY, "acme", "cohere")
UNIT = Amount(1, 1000, 0, 2_000_000, 0)
FREE = Daily()


def at_most(units: int) -> Daily:
    return Daily(quotas={"cohere": Quota(search_units=units * 1000)})


@dataclass(frozen=True, slots=True)
class Shared:
    """A place for ledgers, and what is written there."""

    ledger: Callable[[], AbstractAsyncContextManager[Ledger]]
    lines: Callable[[str | None], Awaitable[list[Line]]]

    async def all_lines(self) -> list[Line]:
        return await self.lines(None)


async def one(
    ledger: Ledger, account: Account = ACME, amount: Amount = UNIT, daily: Daily = FREE
) -> Reservation:
    kept = await ledger.reserve(account, [amount], daily)
    assert not isinstance(kept, Excess), kept
    (reservation,) = kept
    return reservation


class LedgerContract:
    """Inherit it, and give a fixture `shared`."""

    async def test_what_is_kept_back_is_told_until_it_is_settled(
        self, shared: Shared
    ) -> None:
        async with shared.ledger() as ledger:
            kept = await one(ledger)
            (line,) = await shared.all_lines()
            assert line == Line(ACME, NOTHING, reserved=UNIT)
            more = Amount(1, 3000, 7, 6_000_000, 0)
            ledger.settle(kept, more, estimated=False)
        assert await shared.all_lines() == [Line(ACME, more)]

    async def test_an_estimate_that_stands_is_marked(self, shared: Shared) -> None:
        async with shared.ledger() as ledger:
            ledger.settle(await one(ledger), UNIT, estimated=True)
            ledger.settle(await one(ledger), UNIT, estimated=False)
        (line,) = await shared.all_lines()
        assert (line.spent, line.estimated) == (UNIT.plus(UNIT), 1)

    async def test_what_is_given_back_was_never_there(self, shared: Shared) -> None:
        async with shared.ledger() as ledger:
            ledger.settle(await one(ledger), NOTHING, estimated=False)
            await one(ledger, daily=at_most(1))
        (line,) = await shared.all_lines()
        assert line.spent == NOTHING

    async def test_a_settlement_that_comes_twice_counts_once(
        self, shared: Shared
    ) -> None:
        async with shared.ledger() as ledger:
            kept = await one(ledger)
            ledger.settle(kept, UNIT, estimated=False)
            ledger.settle(kept, UNIT, estimated=False)
        (line,) = await shared.all_lines()
        assert line.spent == UNIT

    async def test_of_two_for_the_last_unit_one_wins(self, shared: Shared) -> None:
        async with shared.ledger() as ledger, shared.ledger() as other:
            outcomes = await asyncio.gather(
                *(
                    (ledger, other)[number % 2].reserve(ACME, [UNIT], at_most(5))
                    for number in range(20)
                )
            )
        refused = [each for each in outcomes if isinstance(each, Excess)]
        assert len(refused) == 15
        assert {*refused} == {Excess("daily.cohere.search_units", "5")}

    async def test_several_are_kept_back_together_or_not_at_all(
        self, shared: Shared
    ) -> None:
        async with shared.ledger() as ledger:
            excess = await ledger.reserve(ACME, [UNIT] * 3, at_most(2))
            assert isinstance(excess, Excess)
            assert await shared.all_lines() == []
            kept = await ledger.reserve(ACME, [UNIT] * 2, at_most(2))
            assert not isinstance(kept, Excess)
            ledger.settle(kept[0], UNIT, estimated=False)
            ledger.settle(kept[1], NOTHING, estimated=False)
            await one(ledger, daily=at_most(2))

    async def test_each_kind_of_quota_is_counted(self, shared: Shared) -> None:
        amount = Amount(1, 500, 40, 9, 0)
        async with shared.ledger() as ledger:
            ledger.settle(await one(ledger, amount=amount), amount, estimated=False)
            for daily, expected in (
                (Daily(quotas={"cohere": Quota(calls=1)}), ("calls", "1")),
                (Daily(quotas={"cohere": Quota(tokens=79)}), ("tokens", "79")),
                (
                    Daily(quotas={"cohere": Quota(search_units=999)}),
                    ("search_units", "0.999"),
                ),
            ):
                kept = await ledger.reserve(ACME, [amount], daily)
                assert kept == Excess(f"daily.cohere.{expected[0]}", expected[1])
            kept = await ledger.reserve(ACME, [amount], Daily(budget=17))
            assert kept == Excess("daily_budget", "0.000000017")
            await one(ledger, amount=amount, daily=Daily(budget=18))

    async def test_a_budget_is_for_all_backends_and_a_quota_for_one(
        self, shared: Shared
    ) -> None:
        elsewhere = Account(DAY, "acme", "voyage")
        async with shared.ledger() as ledger:
            await one(ledger)
            kept = await ledger.reserve(elsewhere, [UNIT], Daily(budget=3_999_999))
            assert isinstance(kept, Excess)
            await one(ledger, elsewhere, daily=at_most(0))

    async def test_what_costs_nothing_is_let_through_by_an_empty_budget(
        self, shared: Shared
    ) -> None:
        async with shared.ledger() as ledger:
            await one(ledger, amount=Amount(calls=1), daily=Daily(budget=0))

    async def test_tenants_and_days_are_apart(self, shared: Shared) -> None:
        others = Account(DAY, "beta", "cohere"), Account("2026-11-29", "acme", "cohere")
        async with shared.ledger() as ledger:
            await one(ledger, daily=at_most(1))
            for account in others:
                await one(ledger, account, daily=at_most(1))
        assert len(await shared.all_lines()) == 2
        assert len(await shared.lines("beta")) == 1

    async def test_labels_are_apart_and_only_so_many(self, shared: Shared) -> None:
        async with shared.ledger() as ledger:
            for number in range(MOST_LABELS + 5):
                labels = (("team", f"t{number}"),)
                account = Account(DAY, "acme", "cohere", labels)
                ledger.settle(await one(ledger, account), UNIT, estimated=False)
            # Those that are known stay what they are.
            first = Account(DAY, "acme", "cohere", (("team", "t0"),))
            ledger.settle(await one(ledger, first), UNIT, estimated=False)
        lines = {each.account.labels: each.spent for each in await shared.all_lines()}
        assert lines[(("team", "t0"),)].calls == 2
        assert lines[(("team", OTHER),)].calls == 5
        assert len(lines) == MOST_LABELS + 1

    async def test_savings_are_written_beside_what_was_spent(
        self, shared: Shared
    ) -> None:
        async with shared.ledger() as ledger:
            ledger.settle(await one(ledger), UNIT, estimated=False)
            ledger.save(ACME, UNIT)
            ledger.save(ACME, UNIT)
        assert await shared.all_lines() == [Line(ACME, UNIT, saved=UNIT.plus(UNIT))]

    async def test_whoever_leaves_while_something_is_kept_back_has_nothing_kept_back(
        self, shared: Shared
    ) -> None:
        async with shared.ledger() as ledger:
            asked = [
                asyncio.create_task(ledger.reserve(ACME, [UNIT], FREE))
                for _ in range(20)
            ]
            await asyncio.sleep(0)
            for each in asked:
                each.cancel()
            await asyncio.wait(asked)
        assert [each.reserved for each in await shared.all_lines()] in ([], [NOTHING])

    async def test_whatever_happens_the_ledger_is_the_sum_of_what_was_settled(
        self, shared: Shared
    ) -> None:
        chance = Random(7)
        settled: dict[Account, list[Amount]] = {}
        async with shared.ledger() as ledger, shared.ledger() as other:

            async def call(which: Ledger) -> None:
                account = Account(
                    DAY, chance.choice("ab"), chance.choice(["cohere", "voyage"])
                )
                kept = await one(which, account)
                await asyncio.sleep(0)
                amount = Amount(1, chance.randrange(5000), 3, chance.randrange(99), 0)
                which.settle(kept, amount, estimated=False)
                settled.setdefault(account, []).append(amount)

            for _ in range(10):
                await asyncio.gather(
                    *(call(chance.choice([ledger, other])) for _ in range(20))
                )
        lines = {each.account: each for each in await shared.all_lines()}
        assert {key: each.spent for key, each in lines.items()} == {
            key: total(amounts) for key, amounts in settled.items()
        }
        assert all(each.reserved == NOTHING for each in lines.values())


def nothing_told(told: Sequence[str]) -> bool:
    return not told
