"""Hold the licence of every pinned package to a list: `python licences.py REQUIREMENTS…`.

It reads what is installed in the environment that it runs in.
"""

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import cast

_LONGEST_NAME = 40


@dataclass(frozen=True, slots=True)
class Terms:
    """What is allowed."""

    allowed: frozenset[str]
    names: Mapping[str, str]
    """By what packages say without SPDX: what it is there."""
    exceptions: Mapping[str, Mapping[str, str]]
    """By package: its `licence`, and the `reason` why it is taken."""

    def allow(self, expression: str) -> bool:
        """Tell whether one may use what is licensed so.

        Where AND stands beside OR without parentheses, it is stricter than SPDX.
        """
        return all(
            any(each.strip(" ()") in self.allowed for each in part.split(" OR "))
            for part in expression.split(" AND ")
        )


def read(path: Path) -> Terms:
    """Read the list."""
    raw = tomllib.loads(path.read_text("utf-8"))
    return Terms(frozenset(raw["allowed"]), raw["names"], raw["exceptions"])


def pinned(text: str) -> list[str]:
    """Give the names in a file of requirements, as they are compared."""
    return [normal(name) for name in re.findall(r"^([\w.-]+)==", text, re.MULTILINE)]


def normal(name: str) -> str:
    """Write a name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(package: str, terms: Terms) -> str:
    """Read what a package says: SPDX where it has it, else a name; empty: nothing.

    Raises:
        PackageNotFoundError: It is not installed, as where its marker does not hold.

    """
    # It is a message, as of mail; its type tells only of a part of that.
    said = cast("Message", metadata(package))
    expression: str = said.get("License-Expression") or ""
    if expression:
        return expression
    text: str = (said.get("License") or "").strip()
    if text and len(text) <= _LONGEST_NAME and "\n" not in text:
        return terms.names.get(text, text)
    classified = [
        each.rpartition(" :: ")[2]
        for each in said.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    return " AND ".join(terms.names.get(each, each) for each in classified)


def problems(packages: list[str], terms: Terms) -> Iterator[str]:
    """Say of each package what is wrong with it, and what is no longer needed here."""
    for package in packages:
        try:
            found = licence(package, terms)
        except PackageNotFoundError:
            continue
        exception = terms.exceptions.get(package)
        if exception is None:
            if not found:
                yield f"{package}: does not say its licence"
            elif not terms.allow(found):
                yield f"{package}: {found} is not on the list"
        elif found and found != exception["licence"]:
            yield f"{package}: is {found} now, and was taken for {exception['licence']}"
    for package in terms.exceptions:
        if package not in packages:
            yield f"{package}: is an exception, and is not pinned"


def main(paths: list[str]) -> None:
    """Check, and say so."""
    terms = read(Path(__file__).with_name("licences.toml"))
    packages = sorted(
        {name for path in paths for name in pinned(Path(path).read_text())}
    )
    wrong = list(problems(packages, terms))
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"licences: {len(packages)} packages, {len(terms.exceptions)} exceptions")


if __name__ == "__main__":
    main(sys.argv[1:])
