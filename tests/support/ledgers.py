"""A ledger on the loop itself, without threads, so that time may be virtual."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import count

import pytest

from gateway.backends.billing import SEARCH_UNITS, Billing
from gateway.backends.scorer import Payer, ScoreRequest
from gateway.events import Emit
from gateway.tenants.amounts import Amount, Price, total
from gateway.tenants.ledger import (
    Account,
    Calendar,
    Excess,
    Ledger,
    LedgerUnusable,
    Line,
    Reservation,
)
from gateway.tenants.ledger_file import LedgerFile, Reserve, Save, Settle
from gateway.tenants.ledger_lines import read_lines
from gateway.tenants.limits import Daily, Limits, Quota
from gateway.tenants.metering import Meter, Metering
from gateway.tenants.owners import OnlyOwner
from gateway.tenants.tenants import Tenants

NOON = Calendar(lambda: 1_795_824_000.0 + 43_200)
"""The noon of 2026-11-28."""


class MemoryLedger:
    """A `Ledger` that nobody else sees, and that can be made to fail."""

    def __init__(self) -> None:
        self._file = LedgerFile(":memory:", owner=OnlyOwner(), keep_days=9, fsync=False)
        self._numbers = count(1)
        self.fails = False

    async def reserve(
        self, account: Account, amounts: Sequence[Amount], daily: Daily
    ) -> Sequence[Reservation] | Excess:
        if self.fails:
            raise LedgerUnusable("full")
        kept = [
            Reservation(str(next(self._numbers)), account, each) for each in amounts
        ]
        (excess,) = self._file.apply([Reserve(account, kept, daily)])
        return excess or kept

    def settle(
        self, reservation: Reservation, amount: Amount, *, estimated: bool
    ) -> None:
        self._file.apply([Settle(reservation, amount, estimated)])

    def save(self, account: Account, amount: Amount) -> None:
        self._file.apply([Save(account, amount)])

    def lines(self, *, tenant: str | None = None) -> list[Line]:
        return read_lines(self._file._connection, day=NOON.today(), tenant=tenant)

    def spent(self, tenant: str = "acme") -> Amount:
        return total(each.spent for each in self.lines(tenant=tenant))

    def reserved(self, tenant: str = "acme") -> Amount:
        return total(each.reserved for each in self.lines(tenant=tenant))

    def close(self) -> None:
        self._file.close()


def metering(
    ledger: Ledger, limits: Mapping[str, Limits] | None = None, emit: Emit | None = None
) -> Metering:
    """Put tenants and a ledger together, for ever at noon."""
    return Metering(
        tenants=Tenants(limits or {}),
        ledger=ledger,
        emit=emit or (lambda _: None),
        calendar=NOON,
    )


def meter_of(
    ledger: Ledger,
    limits: Mapping[str, Limits] | None = None,
    emit: Emit | None = None,
    *,
    billing: Billing = SEARCH_UNITS,
    price: Price = Price(per_1000_search_units=Decimal(2)),  # noqa: B008 - frozen
) -> Meter:
    """Make the meter of the backend `fake`, which bills like Cohere."""
    return Meter(
        metering(ledger, limits, emit), backend="fake", billing=billing, price=price
    )


def daily(**quota: int) -> Limits:
    """Limit what may be used of the backend `fake` in a day."""
    return Limits(daily=Daily(quotas={"fake": Quota(**quota)}))


def paid_by(tenant: str, request: ScoreRequest, **labels: str) -> ScoreRequest:
    """Have a tenant pay for a request."""
    return replace(request, payer=Payer(tenant, tuple(sorted(labels.items()))))


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    """Give a ledger of its own to a test that imports this."""
    ledger = MemoryLedger()
    yield ledger
    ledger.close()
