"""The ledger: what every tenant has used, written down before it is used.

A call to a backend is reserved first, with an estimate, and settled afterwards with what the
vendor says. Both count: what is reserved and what is spent is together never more than a
quota allows, but for what a vendor bills beyond the estimate. What was reserved by a process
that died is settled with its estimate.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from gateway.tenants.amounts import Amount
from gateway.tenants.limits import Daily

MOST_LABELS = 200
"""Sets of labels that a tenant has in a day; further ones are written as `_OTHER`."""

OTHER = "_OTHER"

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Account:
    """Where an amount is written down."""

    day: str
    """Such as `2026-11-27`, in UTC."""
    tenant: str
    backend: str
    labels: tuple[tuple[str, str], ...] = ()
    """In the order of their names."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """What is kept back for one call."""

    id: str
    account: Account
    amount: Amount


@dataclass(frozen=True, slots=True)
class Excess:
    """Why nothing is kept back: a quota or budget of the day does not allow it."""

    quota: str
    """As it is called in the configuration: `daily_budget`, or such as
    `daily.cohere.search_units`."""
    limit: str
    """In words."""


class Line(NamedTuple):
    """What one account has used."""

    account: Account
    spent: Amount
    estimated: int = 0
    """How many of the calls were settled with an estimate."""
    reserved: Amount = Amount()
    """For calls under way."""
    saved: Amount = Amount()
    """What memories, and documents that were not asked for, have saved."""


class LedgerUnusable(Exception):
    """The ledger cannot be opened, read or written; says which and why."""


class Ledger(Protocol):
    """Where usage is written down."""

    async def reserve(
        self, account: Account, amounts: Sequence[Amount], daily: Daily
    ) -> Sequence[Reservation] | Excess:
        """Keep something back for each of some calls, durably, or say what forbids it.

        For all of them or for none.

        Raises:
            LedgerUnusable: It cannot be written down.

        """

    def settle(
        self, reservation: Reservation, amount: Amount, *, estimated: bool
    ) -> None:
        """Replace what was kept back by what the call cost; written a little later."""

    def save(self, account: Account, amount: Amount) -> None:
        """Note what did not have to be asked; written a little later."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which day it is, in UTC.

    The clock of the loop does not know, and where it stands still so does the test's.
    """

    unix_s: Callable[[], float] = field(default=lambda: datetime.now(UTC).timestamp())

    def today(self) -> str:
        """Give the day as it is written."""
        return datetime.fromtimestamp(self.unix_s(), UTC).date().isoformat()

    def left_s(self) -> float:
        """Tell how long the day is still."""
        return _DAY_S - self.unix_s() % _DAY_S


def labels_in_words(labels: tuple[tuple[str, str], ...]) -> str:
    """Write labels as people read them, such as `team=search`."""
    return ", ".join(f"{name}={value}" for name, value in labels)
