"""Which of these tests can run: those whose server the environment names."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real_servers.kinds import KINDS, Kind, Server
from tests.real_servers.processes import RECIPES, Recipe, Starter

_HERE = Path(__file__).parent

_left_out = pytest.StashKey[list[str]]()


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Stay out of a run that does not name this directory: it needs real servers."""
    named = (
        Path(argument.partition("::")[0]).resolve()
        for argument in config.invocation_params.args
    )
    return None if any(path.is_relative_to(_HERE) for path in named) else True


@pytest.fixture(params=KINDS, ids=lambda kind: kind.dialect)
def server(request: pytest.FixtureRequest) -> Server:
    """Give a server that runs already."""
    return Server.named(request.param)


@pytest.fixture(scope="module", params=RECIPES, ids=lambda each: each.kind.dialect)
def starter(request: pytest.FixtureRequest) -> Iterator[Starter]:
    """Give the means to start servers; what was started ends with the module."""
    chosen = Starter(request.param)
    yield chosen
    chosen.end_all()


def _missing(item: pytest.Item) -> str:
    """Say why a test cannot run; empty if it can."""
    assert isinstance(item, pytest.Function)
    recipe = item.callspec.params.get("starter")
    kind = item.callspec.params.get("server")
    wanted: tuple[str, ...]
    if isinstance(recipe, Recipe):
        wanted = (recipe.program_variable, recipe.model_variable)
    else:
        assert isinstance(kind, Kind), item.name
        wanted = (kind.url_variable,)
        if item.get_closest_marker("needs_key"):
            wanted += (kind.key_variable,)
    unset = [name for name in wanted if not os.environ.get(name)]
    return f"{' and '.join(unset)} not set" if unset else ""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "needs_key: of a server that asks for a key")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Leave out what has no server, and refuse to run if nothing has one."""
    ours = [item for item in items if item.path.is_relative_to(_HERE)]
    missing = {item: why for item in ours if (why := _missing(item))}
    if ours and len(missing) == len(ours):
        names = ", ".join(kind.url_variable for kind in KINDS)
        programs = " or ".join(
            f"{each.program_variable} and {each.model_variable}" for each in RECIPES
        )
        message = f"no real server is named: set one of {names}, or {programs}"
        raise pytest.UsageError(message)
    config.stash[_left_out] = list(missing.values())
    if missing:
        config.hook.pytest_deselected(items=list(missing))
        items[:] = [item for item in items if item not in missing]


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say which tests were left out."""
    left_out = config.stash.get(_left_out, [])
    for why in dict.fromkeys(left_out):
        count = left_out.count(why)
        terminalreporter.write_line(f"LEFT OUT {count} tests: {why}")
