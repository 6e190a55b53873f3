"""Read the configuration for a command, and say everything that is wrong with it."""

import sys
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


def configured(
    path: Path | None,
    *,
    address: str | None = None,
    http_address: str | None = None,
    metrics_address: str | None = None,
    workers: int | None = None,
) -> Settings:
    """Read the configuration, or end the command with every problem, one a line.

    Args:
        path: The file, if the user names one.
        address: Replaces `server.address`.
        http_address: Replaces `http.address`.
        metrics_address: Replaces `telemetry.metrics_address`.
        workers: Replaces `server.workers`.

    """
    try:
        return load(
            path,
            address=address,
            http_address=http_address,
            metrics_address=metrics_address,
            workers=workers,
        )
    except SettingsError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - a command
        raise SystemExit(MISTAKE) from None
