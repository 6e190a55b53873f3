"""Read the console examples of a Markdown text, and compare what comes with what they show."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent

# It may be a part of a list, and is indented then.
_BLOCK = re.compile(
    r"^(?P<by> *)```console\n(?P<text>.*?)^(?P=by)```$", re.DOTALL | re.MULTILINE
)

ANYTHING = "…"
"""In a line: any characters. Alone in its line: any lines."""


@dataclass(frozen=True, slots=True)
class Example:
    """A command as it is pasted, and what the text shows of its output."""

    command: str
    shown: str


def section(text: str, heading: str) -> str:
    """Give what stands below a heading, up to the next one of its level or above.

    Raises:
        ValueError: There is no such heading.

    """
    level = len(heading) - len(heading.lstrip("#"))
    begin = text.index(f"\n{heading}\n") + len(heading) + 2
    # A comment in an example is no heading.
    headless = _BLOCK.sub(lambda block: " " * len(block[0]), text)
    following = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(headless, begin)
    return text[begin : following.start() if following else len(text)]


def sessions(text: str) -> list[tuple[Example, ...]]:
    """Read each block: its commands belong together, in their order."""
    return [tuple(_examples(dedent(block["text"]))) for block in _BLOCK.finditer(text)]


def _examples(block: str) -> Iterator[Example]:
    lines = block.splitlines()
    while lines:
        first = lines.pop(0)
        assert first.startswith("$ "), f"{first!r} is no command"
        command = first.removeprefix("$ ")
        while not _is_complete(command):
            command += "\n" + lines.pop(0)
        shown = []
        while lines and not lines[0].startswith("$ "):
            shown.append(lines.pop(0))
        yield Example(command, "\n".join(shown))


def _is_complete(command: str) -> bool:
    """Ask the shell whether it would wait for another line."""
    if command.endswith("\\"):
        return False
    asked = subprocess.run(  # noqa: S603 - nothing is run: -n
        ["/bin/bash", "-n", "-c", command], capture_output=True, check=False
    )
    # A here-document without its end is a warning only.
    return asked.returncode == 0 and not asked.stderr


def matches(shown: str, said: str) -> bool:
    """Tell whether an output is what is shown."""
    lines = shown.rstrip("\n").split("\n")
    pattern = "".join(
        r"(?:.*\n)*?"
        if line.strip() == ANYTHING
        else ".*?".join(map(re.escape, line.split(ANYTHING))) + r"\n"
        for line in lines
    )
    return re.fullmatch(pattern, said.rstrip("\n") + "\n") is not None
