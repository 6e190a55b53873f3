"""Every configuration that a page shows is one that the gateway takes."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.settings import Settings, SettingsError, checked
from tests.documentation.pages import ROOT, blocks, pages

# Snippets of others: of the clients' own build files.
_SHOWN = [
    (page, line, block)
    for page in pages()
    if page.parent in {ROOT, ROOT / "docs"} or "deploy" in page.parts
    for line, block in blocks(page, "toml")
]


def _merged(into: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    both = dict(into)
    for key, value in more.items():
        there = both.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            both[key] = _merged(there, value)
        else:
            both[key] = value
    return both


def _problems(configuration: dict[str, Any]) -> tuple[str, ...]:
    try:
        checked(configuration)
    except SettingsError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("page", "line", "block"),
    _SHOWN,
    ids=[f"{page.relative_to(ROOT)}:{line}" for page, line, _ in _SHOWN],
)
def test_what_is_shown_is_taken(page: Path, line: int, block: str) -> None:
    """By itself, or as a part of what stands above it on the page."""
    shown = tomllib.loads(block)
    above: dict[str, Any] = {}
    for other, at, text in _SHOWN:
        if other == page and at < line:
            above = _merged(above, tomllib.loads(text))
    alone = _problems(shown)
    assert not alone or not _problems(_merged(above, shown)), alone


def test_configurations_are_shown() -> None:
    assert {page.name for page, _, _ in _SHOWN} >= {
        "README.md",
        "configuration.md",
        "identity.md",
        "tenants.md",
    }


def _first_cells(page: str, head: str) -> set[str]:
    """Give what is quoted in the first column of the table that begins so."""
    text = (ROOT / page).read_text("utf-8")
    rows = text[text.index(f"| {head} |") :].partition("\n\n")[0].splitlines()[2:]
    return {
        name for row in rows for name in re.findall(r"`([^`]+)`", row.split("|")[1])
    }


def test_every_dialect_is_told() -> None:
    told = _first_cells("docs/configuration.md", "`dialect`")
    assert told == {*DIALECTS, *GRPC_DIALECTS, "local"}


@pytest.mark.parametrize("page", ["README.md", "docs/configuration.md"])
def test_every_section_is_told(page: str) -> None:
    told = {
        name.strip("[]").removesuffix(".NAME") for name in _first_cells(page, "section")
    }
    assert told == set(Settings.model_fields)
