"""Whether two answers are the same, as the table means it."""

from math import isclose
from typing import Any

ALWAYS_VOLATILE = frozenset({"duration"})
"""Members that no case compares, wherever they stand."""

_TOLERANCE = 1e-6
"""Processors differ in the last digits of what a search computes."""


def steady(value: Any, volatile: frozenset[str]) -> Any:  # noqa: ANN401 - any JSON
    """Leave out the members that differ from one run to the next."""
    if isinstance(value, dict):
        return {
            key: steady(each, volatile)
            for key, each in value.items()
            if key not in volatile
        }
    if isinstance(value, list):
        return [steady(each, volatile) for each in value]
    return value


def difference(got: Any, expected: Any, path: str = "$") -> str:  # noqa: ANN401
    """Say in words where they differ first; empty: nowhere.

    Numbers are equal within a millionth, absolute or relative.
    """
    if isinstance(got, dict) and isinstance(expected, dict):
        if got.keys() != expected.keys():
            return f"{path} has {sorted(got)}, not {sorted(expected)}"
        pairs = [(f"{path}.{key}", got[key], expected[key]) for key in expected]
    elif isinstance(got, list) and isinstance(expected, list):
        if len(got) != len(expected):
            return f"{path} has {len(got)} elements, not {len(expected)}"
        both = enumerate(zip(got, expected, strict=True))
        pairs = [(f"{path}[{at}]", *each) for at, each in both]
    elif isinstance(got, float | int) and isinstance(expected, float | int):
        near = isclose(got, expected, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        return "" if near else f"{path} is {got}, not {expected}"
    else:
        return "" if got == expected else f"{path} is {got!r}, not {expected!r}"
    return next((told for each in pairs if (told := difference(*_order(each)))), "")


def _order(each: tuple[str, Any, Any]) -> tuple[Any, Any, str]:
    path, got, expected = each
    return got, expected, path
