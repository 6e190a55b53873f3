"""Read a Containerfile: as much of the language as ours has, and no more.

What is not understood is an error, so that nothing is passed over in silence.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import PurePosixPath

_KNOWN = frozenset(
    {
        *("ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK"),
        *("LABEL", "RUN", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
    }
)
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


class NotUnderstood(Exception):
    """It says something that this reader does not know."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, its lines joined."""

    name: str
    rest: str


@dataclass(slots=True)
class Stage:
    """What one FROM begins."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Give what stands behind each instruction of a name."""
        return [each.rest for each in self.instructions if each.name == name]

    def last(self, name: str) -> str:
        """Give the one that counts, where a later one replaces the earlier.

        Raises:
            NotUnderstood: There is none.

        """
        found = self.all(name)
        if not found:
            message = f"no {name}"
            raise NotUnderstood(message)
        return found[-1]


def stages(text: str) -> list[Stage]:
    """Read all stages, in their order.

    Raises:
        NotUnderstood: An instruction is not known, or stands before the first FROM.

    """
    found: list[Stage] = []
    given: dict[str, str] = {}
    for each in _instructions(text):
        if each.name not in _KNOWN:
            message = f"{each.name} is not known here"
            raise NotUnderstood(message)
        if each.name == "FROM":
            base, _, name = expanded(each.rest, given).partition(" AS ")
            found.append(Stage(base, name or str(len(found))))
        elif found:
            found[-1].instructions.append(each)
        elif each.name == "ARG":
            name, _, value = each.rest.partition("=")
            given[name] = value
        else:
            message = f"{each.name} before the first FROM"
            raise NotUnderstood(message)
    return found


def _instructions(text: str) -> Iterator[Instruction]:
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        if line.endswith("\\"):
            joined += line[:-1] + " "
            continue
        name, _, rest = (joined + line).strip().partition(" ")
        yield Instruction(name.upper(), rest.strip())
        joined = ""


def expanded(text: str, variables: Mapping[str, str]) -> str:
    """Put variables in; one that is not set is empty."""
    return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), text)


def pairs(rest: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Read `A=1 B="2 3"`, as ENV and LABEL have it."""
    return {
        name: expanded(value, variables)
        for name, _, value in (each.partition("=") for each in shlex.split(rest))
    }


def words(rest: str) -> list[str]:
    """Read `["serve", "--help"]`, the form that no shell sees.

    Raises:
        NotUnderstood: It is not in that form.

    """
    try:
        listed: list[str] = json.loads(rest)
    except ValueError as error:
        message = f"{rest}: is for a shell"
        raise NotUnderstood(message) from error
    return listed


@dataclass(frozen=True, slots=True)
class Copy:
    """One COPY."""

    sources: tuple[str, ...]
    target: str
    stage: str
    """Where from; empty: the folder that the build is given."""


def copied(rest: str) -> Copy:
    """Read what a COPY says.

    Raises:
        NotUnderstood: It has another option than `--from`.

    """
    parts = shlex.split(rest)
    stage = ""
    while parts[0].startswith("--"):
        option, _, value = parts.pop(0).partition("=")
        if option != "--from":
            message = f"COPY {option}"
            raise NotUnderstood(message)
        stage = value
    *sources, target = parts
    return Copy(tuple(sources), target, stage)


def is_ignored(path: PurePosixPath, ignore: str) -> bool:
    """Tell whether a .dockerignore keeps a file out; the last line that fits decides."""
    out = False
    for line in ignore.splitlines():
        if not line or line.startswith("#"):
            continue
        pattern = line.removeprefix("!")
        if _fits(path, pattern):
            out = not line.startswith("!")
    return out


def _fits(path: PurePosixPath, pattern: str) -> bool:
    """Whether it, or a folder that it is in, is called so."""
    for place in (path, *path.parents):
        if pattern.startswith("**/"):
            if fnmatch(place.name, pattern.removeprefix("**/")):
                return True
        elif str(place) != "." and fnmatch(str(place), pattern):
            return True
    return False
