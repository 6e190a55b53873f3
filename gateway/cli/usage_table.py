"""What tenants have used, as a table for people."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from gateway.tenants.amounts import (
    NOTHING,
    Amount,
    money_in_words,
    search_units_in_words,
)
from gateway.tenants.ledger import Line, labels_in_words
from gateway.tenants.limits import ANONYMOUS

_NUMBERS = ("calls", "estimated", "search units", "tokens", "cost", "saved")


def show_usage(out: Console, lines: Sequence[Line], *, day: str, currency: str) -> None:
    """Show one row per account, and their sum."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tenant", overflow="fold")
    table.add_column("backend", no_wrap=True)
    table.add_column("labels", overflow="fold")
    for name in _NUMBERS:
        with_currency = currency and name in ("cost", "saved")
        table.add_column(
            f"{name} ({currency})" if with_currency else name,
            justify="right",
            no_wrap=True,
        )
    spent, saved, estimated, reserved = NOTHING, NOTHING, 0, NOTHING
    for line in lines:
        account = line.account
        table.add_row(
            account.tenant or ANONYMOUS,
            account.backend,
            labels_in_words(account.labels) or "-",
            *_numbers(line.spent, line.estimated, line.saved),
        )
        spent, saved = spent.plus(line.spent), saved.plus(line.saved)
        reserved = reserved.plus(line.reserved)
        estimated += line.estimated
    table.add_section()
    table.add_row("all", "", "", *_numbers(spent, estimated, saved))
    out.print(f"{day} (UTC)")
    out.print(table)
    if spent.unpriced:
        out.print(f"{spent.unpriced} calls have no price, and no part in the cost")
    if reserved.calls:
        kept = money_in_words(reserved.cost)
        out.print(
            f"{reserved.calls} calls are under way, for which {kept} is kept back"
        )


def _numbers(spent: Amount, estimated: int, saved: Amount) -> tuple[str, ...]:
    cost = money_in_words(spent.cost)
    if spent.calls and spent.unpriced == spent.calls:
        cost = "unpriced"
    elif spent.unpriced:
        cost = f"{cost} + unpriced"
    return (
        str(spent.calls),
        str(estimated),
        search_units_in_words(spent.search_units),
        str(spent.tokens),
        cost,
        money_in_words(saved.cost) if not saved.unpriced else "unpriced",
    )
