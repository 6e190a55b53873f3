"""`rerank-gateway check FILE`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gateway.cli.configuration import configured


def check(
    file: Annotated[Path, typer.Argument(help="TOML file.", show_default=False)],
) -> None:
    """Check a configuration file and print every problem."""
    settings = configured(file)
    used = {name for route in settings.routes.values() for name in route.backends}
    out = Console(highlight=False)
    out.print(f"{file}: correct, with {len(settings.routes)} route(s)")
    for name, backend in settings.backends.items():
        if backend.problem:
            out.print(f"warning: backends.{name}: {backend.problem}; it is not asked")
        if name not in used and name != backend.dialect:
            out.print(f"warning: backends.{name}: no route uses it")
