"""`rerank-gateway keys create`."""

import json
from typing import Annotated

import typer

from gateway.cli.failing import MISTAKE, fail
from gateway.identity.keys import hash_of, new_key
from gateway.settings import SettingsError
from gateway.settings.checks import checked

keys = typer.Typer(name="keys", help="Make API keys of callers.", no_args_is_help=True)


@keys.callback()
def keys_() -> None:
    """Make API keys of callers."""


@keys.command()
def create(  # noqa: PLR0917 - options of the command line, given by name
    name: Annotated[
        str, typer.Argument(help="What the key is called in the configuration.")
    ],
    tenant: Annotated[
        str,
        typer.Option(
            help="Whose limits and memory it uses; otherwise a tenant of its own.",
            show_default=False,
        ),
    ] = "",
    route: Annotated[
        list[str] | None,
        typer.Option(help="One that it may use; several times. Otherwise: all."),
    ] = None,
    collection: Annotated[
        list[str] | None,
        typer.Option(help="One that it may search; several times. Otherwise: all."),
    ] = None,
    write: Annotated[  # noqa: FBT002 - a flag of the command line
        bool, typer.Option("--write", help="It may import and delete documents.")
    ] = False,
    admin: Annotated[  # noqa: FBT002 - likewise
        bool,
        typer.Option("--admin", help="It may ask for backends, and make collections."),
    ] = False,
) -> None:
    """Make a key and show it, this once, and what of it belongs into the configuration.

    The key goes to standard error, so that `>> keys.toml` takes what may be kept alone.
    """
    key = new_key()
    said: dict[str, object] = {"sha256": hash_of(key)}
    if tenant:
        said["tenant"] = tenant
    if route:
        said["routes"] = route
    if collection:
        said["collections"] = collection
    if write:
        said["write"] = True
    if admin:
        said["admin"] = True
    _check(name, said)
    typer.echo(f"the key, which is shown only now: {key}", err=True)
    typer.echo(f"[identity.keys.{name}]")
    for setting, value in said.items():
        typer.echo(f"{setting} = {_toml(value)}")
    typer.echo()  # the next one may be appended


def _check(name: str, said: dict[str, object]) -> None:
    """End the command where the configuration would be refused."""
    routes = said.get("routes")
    named = routes if isinstance(routes, list) else []
    try:
        checked(
            {
                "identity": {"mode": "keys", "keys": {name: said}},
                "routes": {each: {} for each in named},
            }
        )
    except SettingsError as error:
        fail(error.problems[0], MISTAKE)


def _toml(value: object) -> str:
    """Write a value as TOML does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return json.dumps(value, ensure_ascii=False)
