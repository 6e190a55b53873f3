"""Read the configuration for a command, and say everything that is wrong with it."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.failing import MISTAKE
from gateway.settings import Settings, SettingsError, load

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="TOML file; otherwise the one that RERANK_GATEWAY_CONFIG names, if any.",
        show_default=False,
    ),
]


def configured(path: Path | None, *, address: str | None = None) -> Settings:
    """Read the configuration, or end the command with every problem, one a line.

    Args:
        path: The file, if the user names one.
        address: Replaces `server.address`.

    """
    return or_every_problem(partial(load, path, address=address))


def or_every_problem(read: Callable[[], Settings]) -> Settings:
    """Read a configuration, or end the command with every problem, one a line."""
    try:
        return read()
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - a command
        raise SystemExit(MISTAKE) from None
