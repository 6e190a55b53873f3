"""Takes a PromQL expression apart, as far as it takes to know what it reads.

Every name must be one of a function, a word of the language, a label in a list, or a
series: there is no name that it passes over.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKENS = re.compile(
    r"""
      (?P<space> \s+ )
    | (?P<text> "(?:[^"\\]|\\.)*" )
    | (?P<number> \d+(?:\.\d+)?(?:ms|[smhdwy])? )
    | (?P<name> [a-zA-Z_:][a-zA-Z0-9_:]* )
    | (?P<sign> =~|!~|!=|==|>=|<=|[-+*/%^<>=(){}\[\],:] )
    """,
    re.VERBOSE,
)
_FUNCTIONS = {
    "abs",
    "avg_over_time",
    "clamp_min",
    "count",
    "count_over_time",
    "histogram_quantile",
    "increase",
    "max",
    "rate",
    "stddev_over_time",
    "sum",
    "time",
    "vector",
}
_WORDS = {"and", "or", "unless", "offset"}
_LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}


@dataclass(frozen=True)
class Selector:
    """One place where series are read."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, and the value in quotes."""

    def __str__(self) -> str:
        inside = ", ".join("".join(matcher) for matcher in self.matchers)
        return f"{self.metric}{{{inside}}}"

    @property
    def labels(self) -> set[str]:
        return {label for label, _, _ in self.matchers}


@dataclass(frozen=True)
class Reads:
    """What an expression reads."""

    selectors: tuple[Selector, ...]
    grouped: frozenset[str]
    """Labels that it adds up, or matches, by."""


def reads(expression: str) -> Reads:
    """Find the series and labels that an expression names.

    Args:
        expression: Without variables.

    """
    tokens = list(_tokens(expression))
    selectors = []
    grouped: set[str] = set()
    place = 0
    while place < len(tokens):
        kind, token = tokens[place]
        following = tokens[place + 1][1] if place + 1 < len(tokens) else ""
        place += 1
        if kind != "name" or token in _WORDS:
            continue
        if token in _LISTS:
            names, place = _inside(tokens, place, "(", ")")
            grouped |= {name for kind, name in names if kind == "name"}
        elif token in _FUNCTIONS:
            assert following in {"(", "by", "without"}, f"{token} {following}"
        else:
            assert following != "(", f"unknown function {token}"
            inside, place = (
                _inside(tokens, place, "{", "}") if following == "{" else ([], place)
            )
            selectors.append(Selector(token, tuple(_matchers(inside))))
    return Reads(tuple(selectors), frozenset(grouped))


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(expression):
        found = _TOKENS.match(expression, place)
        assert found, f"not PromQL: {expression[place:]}"
        place = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found.group()


def _inside(
    tokens: list[tuple[str, str]], place: int, first: str, last: str
) -> tuple[list[tuple[str, str]], int]:
    assert tokens[place][1] == first, f"{first} expected, not {tokens[place][1]}"
    end = next(i for i in range(place, len(tokens)) if tokens[i][1] == last)
    return tokens[place + 1 : end], end + 1


def _matchers(tokens: list[tuple[str, str]]) -> Iterator[tuple[str, str, str]]:
    words = [word for _, word in tokens if word != ","]
    yield from zip(words[::3], words[1::3], words[2::3], strict=True)
