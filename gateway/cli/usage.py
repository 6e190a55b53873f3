"""`rerank-gateway usage`."""

import asyncio
import json as json_lines
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.configuration import ConfigOption, configured
from gateway.cli.console import literal_console
from gateway.cli.failing import MISTAKE, fail
from gateway.settings import LedgerSettings
from gateway.tenants.amounts import money_in_words, search_units_in_words
from gateway.tenants.ledger import Calendar, LedgerUnusable, Line
from gateway.tenants.limits import ANONYMOUS


def usage(
    config: ConfigOption = None,
    tenant: Annotated[
        str | None,
        typer.Option(help="Only of this tenant; `anonymous`: of those without one."),
    ] = None,
    day: Annotated[
        str | None,
        typer.Option(help="YYYY-MM-DD, in UTC; otherwise today.", show_default=False),
    ] = None,
    json: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--json", help="Print JSON lines; money is text, exactly.")
    ] = False,
) -> None:
    """Show what tenants have used in a day, from the ledger."""
    ledger = configured(config).ledger
    try:
        on = date.fromisoformat(day).isoformat() if day else Calendar().today()
    except ValueError:
        fail(f"--day: {day!r} is not a day such as 2026-11-27", MISTAKE)
    name = "" if tenant == ANONYMOUS else tenant
    try:
        lines = _read(ledger, day=on, tenant=name)
    except LedgerUnusable as error:
        fail(str(error))
    if json:
        for line in lines:
            typer.echo(json_lines.dumps(_as_json(line, ledger.currency)))
        return
    from gateway.cli.usage_table import show_usage

    show_usage(literal_console(), lines, day=on, currency=ledger.currency)


def _read(ledger: LedgerSettings, *, day: str, tenant: str | None) -> list[Line]:
    if not ledger.url:
        from gateway.tenants.ledger_lines import read_ledger

        return read_ledger(Path(ledger.path), day=day, tenant=tenant)
    from gateway.compose.metering import ledger_url
    from gateway.tenants.redis_reading import read_shared_ledger

    reading = read_shared_ledger(
        ledger_url(ledger), timeout_s=ledger.timeout_s, day=day, tenant=tenant
    )
    return asyncio.run(reading)


def _as_json(line: Line, currency: str) -> dict[str, object]:
    account, spent, saved, reserved = (
        line.account,
        line.spent,
        line.saved,
        line.reserved,
    )
    return {
        "day": account.day,
        "tenant": account.tenant or ANONYMOUS,
        "backend": account.backend,
        "labels": dict(account.labels),
        "calls": spent.calls,
        "search_units": search_units_in_words(spent.search_units),
        "tokens": spent.tokens,
        "cost": money_in_words(spent.cost),
        "currency": currency,
        "unpriced_calls": spent.unpriced,
        "estimated_calls": line.estimated,
        "reserved_calls": reserved.calls,
        "reserved_cost": money_in_words(reserved.cost),
        "saved_calls": saved.calls,
        "saved_search_units": search_units_in_words(saved.search_units),
        "saved_tokens": saved.tokens,
        "saved_cost": money_in_words(saved.cost),
    }
