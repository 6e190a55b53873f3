"""Each claim of SECURITY.md has its tests, and they are there."""

import ast
import re
from functools import cache

import pytest

from tests.deploy.places import ROOT

SECURITY = (ROOT / "SECURITY.md").read_text()
SECTIONS = dict(
    part.split("\n", 1) for part in re.split(r"^## ", SECURITY, flags=re.MULTILINE)[1:]
)
WITHOUT_CLAIMS = {
    "Report a vulnerability",
    "Who is trusted with what",
    "What is not there",
}
NAMED = re.findall(r"`(tests/[^`]+)`", SECURITY)


@cache
def names_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


@pytest.mark.parametrize("named", NAMED)
def test_a_test_that_is_named_is_there(named: str) -> None:
    path, _, name = named.partition("::")
    assert (ROOT / path).is_file()
    assert name in names_in(path)


@pytest.mark.parametrize("title", sorted(set(SECTIONS) - WITHOUT_CLAIMS))
def test_a_claim_names_its_tests(title: str) -> None:
    claims = re.split(r"^- ", SECTIONS[title], flags=re.MULTILINE)[1:]
    assert claims
    for claim in claims:
        assert re.search(r"^  - `tests/", claim, re.MULTILINE), claim


def test_what_makes_no_claims_names_no_tests() -> None:
    for title in WITHOUT_CLAIMS:
        assert "tests/" not in SECTIONS[title]


def test_no_test_is_named_twice() -> None:
    assert len(NAMED) == len(set(NAMED)) > 40
