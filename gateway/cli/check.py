"""`rerank-gateway check FILE`."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.configuration import configured
from gateway.cli.console import literal_console
from gateway.cli.failing import FAILURE, fail
from gateway.cli.probing import probed
from gateway.cli.tables import show_backends


def check(
    file: Annotated[Path, typer.Argument(help="TOML file.", show_default=False)],
    *,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Also ask all that it names whether it works."),
    ] = False,
) -> None:
    """Check a configuration file and print every problem."""
    settings = configured(file)
    used = {name for route in settings.routes.values() for name in route.backends}
    out = literal_console()
    out.print(f"{file}: correct, with {len(settings.routes)} route(s)")
    for name, backend in settings.backends.items():
        if backend.problem:
            out.print(f"warning: backends.{name}: {backend.problem}; it is not asked")
        if name not in used and name != backend.dialect:
            out.print(f"warning: backends.{name}: no route uses it")
    if probe:
        from gateway.tenants.ledger import LedgerUnusable

        try:
            checked = probed(settings)
        except LedgerUnusable as error:
            fail(str(error))
        show_backends(out, checked)
        if not all(found.available for _, found in checked):
            raise SystemExit(FAILURE)
