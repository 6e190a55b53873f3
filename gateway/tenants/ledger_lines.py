"""How accounts and amounts are written in the ledger's file, and how they are read again."""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from gateway.tenants import ledger_sql as sql
from gateway.tenants.amounts import NOTHING, Amount
from gateway.tenants.ledger import Account, LedgerUnusable, Line

PATIENCE_S = 5.0
"""How long another process may write before we give up."""


def read_ledger(path: Path | str, *, day: str, tenant: str | None) -> list[Line]:
    """Read what was used, while gateways may be writing.

    Args:
        path: The file.
        day: Which day.
        tenant: Whose; None: everybody's.

    Raises:
        LedgerUnusable: It cannot be read.

    """
    with told(path):
        if isinstance(path, Path) and not path.exists():
            message = f"{path}: there is no ledger yet"
            raise LedgerUnusable(message)
        connection = sqlite3.connect(path, timeout=PATIENCE_S)
        try:
            return read_lines(connection, day=day, tenant=tenant)
        finally:
            connection.close()


def read_lines(
    connection: sqlite3.Connection, *, day: str, tenant: str | None
) -> list[Line]:
    """Read what was used, in the order of tenants, backends and labels."""
    values = {"day": day, "tenant": tenant}
    lines: dict[Account, Line] = {}
    spent = connection.execute(sql.SPENT_ON, values)
    for row in spent.fetchall():
        account = account_of(row)
        lines[account] = Line(
            account,
            spent=Amount(*row[4:9]),
            estimated=row[9],
            saved=Amount(*row[10:]),
        )
    kept = connection.execute(sql.RESERVED_ON, values)
    for row in kept.fetchall():
        account = account_of(row)
        line = lines.get(account) or Line(account, NOTHING)
        lines[account] = line._replace(reserved=line.reserved.plus(Amount(*row[4:])))
    return [lines[each] for each in sorted(lines, key=written)]


@contextmanager
def told(path: Path | str) -> Iterator[None]:
    """Say of everything that SQLite raises which file it is about."""
    try:
        yield
    except sqlite3.Error as error:
        message = f"{path}: {error}"
        raise LedgerUnusable(message) from error


def account_of(row: Sequence[Any]) -> Account:
    """Read an account from the first columns of a row."""
    return Account(row[0], row[1], row[2], _read(row[3]))


def written(account: Account) -> tuple[str, str, str, str]:
    """Write an account as it is stored."""
    labels = written_labels(account.labels)
    return account.day, account.tenant, account.backend, labels


def written_labels(labels: Iterable[tuple[str, str]]) -> str:
    """Write labels as they are stored."""
    return json.dumps(list(chain.from_iterable(labels)), ensure_ascii=False)


def _read(labels: str) -> tuple[tuple[str, str], ...]:
    words = json.loads(labels)
    return tuple(zip(words[::2], words[1::2], strict=True))
