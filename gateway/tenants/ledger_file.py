"""The ledger as a file of SQLite: what is in it, and one transaction at a time.

Everything here blocks, and belongs to a thread of its own. Any number of processes of one
machine may share a file; not over a network, where locks of files cannot be relied on.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from gateway.tenants import ledger_sql as sql
from gateway.tenants.amounts import NOTHING, Amount, money_in_words, total
from gateway.tenants.amounts import search_units_in_words as in_units
from gateway.tenants.ledger import (
    MOST_LABELS,
    OTHER,
    Account,
    Excess,
    LedgerUnusable,
    Reservation,
)
from gateway.tenants.ledger_lines import (
    PATIENCE_S,
    account_of,
    told,
    written,
    written_labels,
)
from gateway.tenants.limits import Daily
from gateway.tenants.owners import Owner

# Between two tries to begin.
_PAUSE_S = 0.02

# How often it is looked whether others have died.
_LOOKS_EVERY_S = 10.0


@dataclass(frozen=True, slots=True)
class Reserve:
    """Keep something back for some calls of one account."""

    account: Account
    reservations: Sequence[Reservation]
    daily: Daily


@dataclass(frozen=True, slots=True)
class Settle:
    """Replace it by what the call cost."""

    reservation: Reservation
    amount: Amount
    estimated: bool


@dataclass(frozen=True, slots=True)
class Save:
    """Note what did not have to be asked."""

    account: Account
    amount: Amount


Step = Reserve | Settle | Save


class LedgerFile:
    """One process's way into the file.

    Args:
        path: The file; `:memory:` for one that nobody else sees.
        owner: Whose reservations are made here.
        keep_days: How long a day is kept.
        fsync: Have each transaction survive a loss of power too, not only the death of
            this process.

    Raises:
        LedgerUnusable: It cannot be opened, or is another version's.

    """

    def __init__(
        self, path: Path | str, *, owner: Owner, keep_days: int, fsync: bool
    ) -> None:
        self._owner = owner
        self._keep_days = keep_days
        self._last_day = ""
        self._looked_at = time.monotonic()
        self._path = path
        with told(path):
            # Opened in one thread and used in another, never in two at once.
            self._connection = sqlite3.connect(
                path,
                timeout=PATIENCE_S,
                isolation_level=None,
                check_same_thread=False,
            )
        try:
            with told(path):
                _prepare(self._connection, path, fsync=fsync)
            with self._transaction():
                self._settle_for_the_dead()
        except BaseException:
            self._connection.close()
            raise

    def apply(self, steps: Iterable[Step]) -> list[Excess | None]:
        """Do all of it in one transaction, or none of it.

        Returns:
            One for each step: why something is not kept back, or nothing.

        Raises:
            LedgerUnusable: It cannot be written.

        """
        with self._transaction():
            if time.monotonic() - self._looked_at > _LOOKS_EVERY_S:
                self._settle_for_the_dead()
            return [self._step(step) for step in steps]

    def close(self) -> None:
        """Leave the file."""
        self._connection.close()

    def _step(self, step: Step) -> Excess | None:
        match step:
            case Reserve(account, reservations, daily):
                return self._reserve(account, reservations, daily)
            case Settle(reservation, amount, estimated):
                self._settle(reservation, amount, estimated=estimated)
            case Save(account, amount):
                self._add(account, NOTHING, 0, saved=amount)
        return None

    def _reserve(
        self, account: Account, reservations: Sequence[Reservation], daily: Daily
    ) -> Excess | None:
        amount = total(each.amount for each in reservations)
        if account.day > self._last_day:
            self._last_day = account.day
            self._forget(account.day)
        if excess := self._excess(account, amount, daily):
            return excess
        self._connection.executemany(
            sql.RESERVE,
            [
                (each.id, self._owner.name, *written(account), *each.amount)
                for each in reservations
            ],
        )
        return None

    def _excess(self, account: Account, amount: Amount, daily: Daily) -> Excess | None:
        quota = daily.quotas.get(account.backend)
        if quota:
            used = self._used(account)
            for name, most, in_words in (
                ("calls", quota.calls, str),
                ("search_units", quota.search_units, in_units),
                ("tokens", quota.tokens, str),
            ):
                own: int = getattr(amount, name)
                if most is not None and own and getattr(used, name) + own > most:
                    path = f"daily.{account.backend}.{name}"
                    return Excess(path, in_words(most))
        budget, cost = daily.budget, amount.cost
        if budget is not None and cost and self._cost(account) + cost > budget:
            return Excess("daily_budget", money_in_words(budget))
        return None

    def _used(self, account: Account) -> Amount:
        """Add up what is spent and what is kept back."""
        values = {
            "day": account.day,
            "tenant": account.tenant,
            "backend": account.backend,
        }
        return Amount(*self._connection.execute(sql.USED_OF_BACKEND, values).fetchone())

    def _cost(self, account: Account) -> int:
        """Add up the same of all backends, in money."""
        values = {"day": account.day, "tenant": account.tenant}
        (cost,) = self._connection.execute(sql.COST_OF_ALL, values).fetchone()
        return int(cost)

    def _settle(
        self, reservation: Reservation, amount: Amount, *, estimated: bool
    ) -> None:
        # Once: a settlement that came twice would count twice.
        gone = self._connection.execute(sql.RELEASE, (reservation.id,))
        if gone.rowcount and amount != NOTHING:
            count = amount.calls if estimated else 0
            self._add(reservation.account, amount, count)

    def _settle_for_the_dead(self) -> None:
        """Settle what processes have kept back that are no more, with their estimates."""
        self._looked_at = time.monotonic()
        owners = self._connection.execute(sql.OWNERS)
        for (owner,) in owners.fetchall():
            if not self._owner.is_alive(owner):
                self._settle_all_of(owner)

    def _settle_all_of(self, owner: str) -> None:
        rows = self._connection.execute(sql.RESERVED_BY, (owner,))
        for row in rows.fetchall():
            amount = Amount(*row[4:])
            self._add(account_of(row), amount, amount.calls)
        self._connection.execute(sql.RELEASE_ALL, (owner,))

    def _add(
        self,
        account: Account,
        amount: Amount,
        estimated: int,
        *,
        saved: Amount = NOTHING,
    ) -> None:
        numbers = (*amount, estimated, *saved)
        key = written(account)
        if self._update(key, numbers):
            return
        known = self._connection.execute(
            sql.LABELS,
            {"day": account.day, "tenant": account.tenant, "labels": key[3]},
        )
        count, same = known.fetchone()
        if account.labels and not same and count >= MOST_LABELS:
            labels = tuple((name, OTHER) for name, _ in account.labels)
            key = (*key[:3], written_labels(labels))
            if self._update(key, numbers):
                return
        self._connection.execute(sql.BEGIN, (*key, *numbers))

    def _update(self, key: Sequence[str], numbers: Sequence[int]) -> bool:
        found = self._connection.execute(sql.ADD, (*numbers, *key))
        return bool(found.rowcount)

    def _forget(self, today: str) -> None:
        first = date.fromisoformat(today) - timedelta(days=self._keep_days)
        self._connection.execute(sql.FORGET, (str(first),))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with told(self._path):
            # At once: to begin with reading and to go on to writing may fail in between.
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise


def _prepare(connection: sqlite3.Connection, path: Path | str, *, fsync: bool) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            break
        except sqlite3.OperationalError:
            # Here alone SQLite does not wait where several begin at once.
            if time.monotonic() > until:
                raise
            time.sleep(_PAUSE_S)
    connection.execute(f"PRAGMA synchronous = {'FULL' if fsync else 'NORMAL'}")
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (0, sql.VERSION):
        message = f"{path}: is a ledger of version {version}, not {sql.VERSION}"
        raise LedgerUnusable(message)
    connection.executescript(sql.SCHEMA)
    connection.execute(f"PRAGMA user_version = {sql.VERSION}")
