"""The Markdown of this repository, taken apart by a reader of CommonMark."""

import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]

_NOT_IN_ANCHORS = re.compile(r"[^\w\- ]")


@cache
def tracked() -> frozenset[Path]:
    """Give every file that is in the repository, and every folder that has one."""
    files = {each for each in _listed() if each.exists()}
    return frozenset(files | {folder for each in files for folder in each.parents})


def _listed() -> Iterator[Path]:
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():  # somebody's archive of it
        yield from (each for each in ROOT.rglob("*") if ".venv" not in each.parts)
        return
    said = subprocess.run(  # noqa: S603 - a list of our own files
        [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    yield from (ROOT / each for each in said.split("\0") if each)


def pages() -> list[Path]:
    """Give every page of Markdown."""
    return sorted(each for each in tracked() if each.suffix == ".md")


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """Take a page apart."""
    reader = MarkdownIt("commonmark").enable("table")
    return tuple(reader.parse(page.read_text("utf-8")))


def links(page: Path) -> Iterator[tuple[int, str]]:
    """Give where each link and each picture leads, with its line."""
    for block in tokens(page):
        line = block.map[0] + 1 if block.map else 0
        for each in block.children or ():
            if target := each.attrGet("href") or each.attrGet("src"):
                yield line, str(target)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Give what can stand behind `#`, as GitHub makes it of headings."""
    taken: Counter[str] = Counter()
    found = set()
    parts = tokens(page)
    for heading, words in pairwise(parts):
        if heading.type != "heading_open":
            continue
        text = "".join(
            each.content
            for each in words.children or ()
            if each.type in {"text", "code_inline"}
        )
        anchor = _NOT_IN_ANCHORS.sub("", text.strip().lower()).replace(" ", "-")
        found.add(f"{anchor}-{taken[anchor]}" if taken[anchor] else anchor)
        taken[anchor] += 1
    return frozenset(found)


def blocks(page: Path, language: str) -> Iterator[tuple[int, str]]:
    """Give each block of code in a language, with its line."""
    for each in tokens(page):
        if each.type == "fence" and each.info.split()[:1] == [language]:
            yield (each.map or [0])[0] + 1, each.content
