"""What all commands that ask a gateway are told about it, in the same options."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, get_type_hints

import typer

from gateway.cli.configuration import ConfigOption

_NONE: Final = {"show_default": False}
_GROUP: Final = {"rich_help_panel": "The gateway that is asked"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Which gateway is asked, and how: each field is an option of the command line."""

    config: ConfigOption = None
    address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of a gateway that is running, grpcs://HOST:PORT for TLS."
            " Otherwise one is started; `health` asks that of this configuration.",
            **_NONE,
            **_GROUP,
        ),
    ] = None
    tls: Annotated[
        bool, typer.Option("--tls", help="The same as grpcs://.", **_GROUP)
    ] = False
    ca_file: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of authorities to trust, with TLS.", **_NONE, **_GROUP
        ),
    ] = None
    cert_file: Annotated[
        Path | None,
        typer.Option(
            help="PEM file of the certificate to show, with TLS.", **_NONE, **_GROUP
        ),
    ] = None
    key_file: Annotated[
        Path | None, typer.Option(help="PEM file of its key.", **_NONE, **_GROUP)
    ] = None
    server_name: Annotated[
        str,
        typer.Option(
            help="What its certificate must be for, where that is not the host.",
            **_NONE,
            **_GROUP,
        ),
    ] = ""
    token_env: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="The environment variable with the key or token to show; otherwise"
            " RERANK_GATEWAY_KEY, if there is one.",
            **_NONE,
            **_GROUP,
        ),
    ] = ""

    @property
    def wants_tls(self) -> bool:
        """Whether something was said that is of use with TLS alone."""
        return bool(
            self.tls
            or self.ca_file
            or self.cert_file
            or self.key_file
            or self.server_name
        )


def asks_a_gateway(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, in place of its first parameter, the options of `Options`.

    Args:
        command: Takes what was said as `Options`, and the rest of its parameters by name.

    """
    hints = get_type_hints(Options, include_extras=True)
    shared = [
        inspect.Parameter(
            each.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=each.default,
            annotation=hints[each.name],
        )
        for each in fields(Options)
    ]
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    own = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own]

    @wraps(command)
    def run(**said: object) -> None:
        options: dict[str, Any] = {each.name: said.pop(each.name) for each in shared}
        command(Options(**options), **said)

    # Typer reads these, and makes of them what it parses.
    vars(run).update(
        __signature__=inspect.Signature([*own, *shared]), __annotations__={}
    )
    return run
