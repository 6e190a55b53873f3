"""What one backend's calls cost, reserved and settled: what the layers share."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from gateway.backends.billing import Billing
from gateway.backends.scorer import Candidate, Payer, ScoreRequest, Usage
from gateway.backends.unpaid import LedgerFailed, QuotaExceeded
from gateway.events import CallMetered, Emit, TenantRefused
from gateway.tenants.amounts import NOTHING, Amount, Price
from gateway.tenants.ledger import (
    Account,
    Calendar,
    Excess,
    Ledger,
    LedgerUnusable,
    Reservation,
)
from gateway.tenants.limits import GATEWAY, UNLIMITED
from gateway.tenants.tenants import Tenants

_GATEWAY = Payer(GATEWAY)

_kept: ContextVar[list[Reservation] | None] = ContextVar("kept_back", default=None)
"""For calls that are still to be made for one request."""


@dataclass(frozen=True, slots=True)
class Metering:
    """What all backends have in common."""

    tenants: Tenants
    ledger: Ledger
    emit: Emit
    calendar: Calendar

    def account(self, payer: Payer, backend: str) -> Account:
        """Give today's account of whoever pays."""
        return Account(self.calendar.today(), payer.tenant, backend, payer.labels)


class Meter:
    """Reserves and settles what calls to one backend cost.

    Args:
        metering: Tenants and ledger.
        backend: Its name.
        billing: How its vendor counts.
        price: What that costs.

    """

    def __init__(
        self, metering: Metering, *, backend: str, billing: Billing, price: Price
    ) -> None:
        self._metering = metering
        self._backend = backend
        self._billing = billing
        self._price = price

    async def reserve(self, request: ScoreRequest) -> Reservation:
        """Keep back what a call will probably cost, unless that was done before.

        Raises:
            QuotaExceeded: The tenant may not use so much today.
            LedgerFailed: It cannot be written down.

        """
        amount = self.estimate(request.query, request.documents)
        return await self.keep_back(request.payer, amount)

    async def keep_back(self, payer: Payer | None, amount: Amount) -> Reservation:
        """Keep back what a call will probably cost, unless that was done before.

        Args:
            payer: Whose account it is; None: the gateway's own.
            amount: What it will cost.

        Raises:
            QuotaExceeded: The tenant may not use so much today.
            LedgerFailed: It cannot be written down.

        """
        if kept := _take(self._backend, amount):
            return kept
        (kept,) = await self._reserve(payer, [amount])
        return kept

    def prepaid(
        self, request: ScoreRequest, calls: Iterable[Iterable[Candidate]]
    ) -> AbstractAsyncContextManager[None]:
        """Keep back what several calls for one request will cost; see `all_kept_back`."""
        amounts = [self.estimate(request.query, documents) for documents in calls]
        return self.all_kept_back(request.payer, amounts)

    @asynccontextmanager
    async def all_kept_back(
        self, payer: Payer | None, amounts: Sequence[Amount]
    ) -> AsyncIterator[None]:
        """Keep back what several calls will cost, which are made within the block.

        Raises:
            QuotaExceeded: The tenant may not use so much today.
            LedgerFailed: It cannot be written down.

        """
        kept = list(await self._reserve(payer, amounts))
        token = _kept.set(kept)
        try:
            yield
        finally:
            _kept.reset(token)
            for each in kept:  # for which no call was made
                self.release(each)
            kept.clear()

    async def _reserve(
        self, payer: Payer | None, amounts: Sequence[Amount]
    ) -> Sequence[Reservation]:
        metering = self._metering
        payer = payer or _GATEWAY
        is_own = payer is _GATEWAY
        limits = UNLIMITED if is_own else metering.tenants.limits(payer.tenant)
        account = metering.account(payer, self._backend)
        try:
            kept = await metering.ledger.reserve(account, amounts, limits.daily)
        except LedgerUnusable as error:
            raise LedgerFailed(self._backend, "the ledger cannot be written") from error
        if isinstance(kept, Excess):
            shown = metering.tenants.shown(payer.tenant)
            metering.emit(TenantRefused(shown, _kind(kept.quota)))
            raise QuotaExceeded(
                self._backend,
                kept.quota,
                limit=kept.limit,
                retry_after_s=metering.calendar.left_s(),
            )
        return kept

    def estimate(self, query: str, documents: Iterable[Candidate]) -> Amount:
        """Give what one call with these documents will cost."""
        return self.cost_of(query, (each.text for each in documents))

    def cost_of(self, query: str, texts: Iterable[str]) -> Amount:
        """Give the same for texts, with or without a query."""
        return self._price.of(self._billing.estimate(query, texts))

    def settle(self, kept: Reservation, usage: Usage | None) -> None:
        """Replace what was kept back by what the call cost.

        Args:
            kept: What was kept back.
            usage: What the vendor says; None, or no word in its own unit: the estimate
                stands.

        """
        counted = self._billing.unit == "calls" or (
            usage is not None and getattr(usage, self._billing.unit) > 0
        )
        if usage is None or not counted:
            self._write(kept, kept.amount, estimated=True)
        else:
            self._write(kept, self._price.of(usage), estimated=False)

    def release(self, kept: Reservation) -> None:
        """Give back what was kept back for a call that costs nothing."""
        self._metering.ledger.settle(kept, NOTHING, estimated=False)

    def save(self, payer: Payer, amount: Amount) -> None:
        """Note what did not have to be asked."""
        if amount != NOTHING:
            account = self._metering.account(payer, self._backend)
            self._metering.ledger.save(account, amount)

    def _write(self, kept: Reservation, amount: Amount, *, estimated: bool) -> None:
        metering = self._metering
        metering.ledger.settle(kept, amount, estimated=estimated)
        metering.emit(
            CallMetered(
                metering.tenants.shown(kept.account.tenant),
                self._backend,
                calls=amount.calls,
                search_units=amount.search_units / 1000,
                tokens=amount.tokens,
                cost=amount.cost / 1e9,
            )
        )


def _kind(quota: str) -> str:
    """Name a quota without its backend: there may only be so many names."""
    path, _, unit = quota.rpartition(".")
    return f"daily_{unit}" if path else unit


def _take(backend: str, amount: Amount) -> Reservation | None:
    """Take what was kept back for a call that costs just as much, if anything was."""
    kept = _kept.get() or []
    for place, each in enumerate(kept):
        if each.amount == amount and each.account.backend == backend:
            return kept.pop(place)
    return None
