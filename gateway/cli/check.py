"""`rerank-gateway check FILE`."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.configuration import configured
from gateway.cli.console import literal_console


def check(
    file: Annotated[Path, typer.Argument(help="TOML file.", show_default=False)],
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
