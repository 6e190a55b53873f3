"""Every link of every page leads somewhere: to a file that is tracked, and to a heading in it."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.documentation.pages import ROOT, anchors, links, pages, tracked

_PAGES = pages()


def _problem(page: Path, target: str) -> str:
    """Say what is wrong with a link; empty: nothing, or it leads out of here."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return "" if parts.scheme in {"http", "https", "mailto"} else "what is that?"
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if path not in tracked():
        return "no such file"
    if not parts.fragment:
        return ""
    if path.suffix != ".md":
        return "only pages have anchors here"
    return "" if parts.fragment in anchors(path) else "no such heading"


@pytest.mark.parametrize("page", _PAGES, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    wrong = [
        f"{page.relative_to(ROOT)}:{line}: {target}: {problem}"
        for line, target in links(page)
        if (problem := _problem(page, target))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_page_of_docs_is_in_its_index() -> None:
    index = ROOT / "docs/README.md"
    linked = {(index.parent / target).resolve() for _, target in links(index)}
    there = {each for each in _PAGES if each.parent == index.parent}
    assert there - {index} <= linked


def test_whoever_begins_with_the_readme_gets_to_every_page_of_docs() -> None:
    begin = ROOT / "README.md"
    found, waiting = {begin}, [begin]
    while waiting:
        page = waiting.pop()
        for _, target in links(page):
            path = (page.parent / urlsplit(target).path).resolve()
            path = path / "README.md" if path.is_dir() else path
            if path.suffix == ".md" and path in tracked() and path not in found:
                found.add(path)
                waiting.append(path)
    assert {each for each in _PAGES if each.parent == ROOT / "docs"} <= found


def test_the_readme_is_of_a_length_that_is_read() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 350


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("README.md", ""),
        ("README.md#first-call", ""),
        ("#what-an-answer-says", ""),
        ("docs", ""),
        ("https://example.com/nowhere", ""),
        ("nowhere.md", "no such file"),
        ("README.md#nowhere", "no such heading"),
        ("#nowhere", "no such heading"),
        ("pyproject.toml#1", "only pages have anchors here"),
    ],
)
def test_what_is_wrong_is_found(target: str, problem: str) -> None:
    assert _problem(ROOT / "README.md", target) == problem
