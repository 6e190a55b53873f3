"""Read scores out of a vendor's JSON, or refuse it: nothing is paired by luck.

One wrong entry makes the whole answer invalid, because a partly corrupted ranking is
worse than the order that the caller already had.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from gateway.backends.scorer import Usage

Json = Any
"""What `orjson.loads` gives: the one place where types end."""


class ContractBrokenError(ValueError):
    """A successful answer is not what its vendor promises.

    The message is in our own words and never quotes the answer.
    """


def mapping(value: Json, what: str) -> Mapping[str, Json]:
    """Take a JSON object, or raise."""
    if not isinstance(value, dict):
        message = f"{what} is {_kind(value)}, not an object"
        raise ContractBrokenError(message)
    return value


def array(value: Json, what: str) -> list[Json]:
    """Take a JSON array, or raise."""
    if not isinstance(value, list):
        message = f"{what} is {_kind(value)}, not an array"
        raise ContractBrokenError(message)
    return value


def number(value: Json, what: str) -> float:
    """Take a finite JSON number, or raise. True is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        message = f"{what} is {_kind(value)}, not a number"
        raise ContractBrokenError(message)
    if not math.isfinite(value):
        message = f"{what} is not finite"
        raise ContractBrokenError(message)
    return float(value)


def text(value: Json) -> str:
    """Take a string; anything else counts as unsaid."""
    return value if isinstance(value, str) else ""


def by_index(items: Json, *, score_key: str, count: int) -> tuple[float, ...]:
    """Read `[{"index": 2, score_key: 0.9}, …]`, in any order.

    Args:
        items: The parsed list.
        score_key: The member that holds the number.
        count: How many documents were sent. Each must be there exactly once.

    Raises:
        ContractBrokenError: A missing, repeated, foreign or ill-typed entry.

    """
    entries = array(items, "the list of results")
    if len(entries) != count:
        message = f"{len(entries)} results for {count} documents"
        raise ContractBrokenError(message)
    # Of entries that are none, this raises when it is asked for them.
    pairs = map(itemgetter("index", score_key), entries)
    if (read := _read_at_once(pairs, count)) is not None:
        return read
    scores: list[float | None] = [None] * count
    for entry in entries:
        result = mapping(entry, "a result")
        index = result.get("index")
        if isinstance(index, bool) or not isinstance(index, int):
            message = f"an index is {_kind(index)}, not an integer"
            raise ContractBrokenError(message)
        if not 0 <= index < count:
            message = f"an index is outside 0 to {count - 1}"
            raise ContractBrokenError(message)
        if scores[index] is not None:
            message = f"index {index} is there twice"
            raise ContractBrokenError(message)
        scores[index] = number(result.get(score_key), f"{score_key} of {index}")
    return tuple(score for score in scores if score is not None)


def by_pairs(pairs: Sequence[tuple[int, float]], *, count: int) -> tuple[float, ...]:
    """Read `[(2, 0.9), …]`, in any order, as `by_index` does."""
    if len(pairs) == count and (read := _read_at_once(pairs, count)) is not None:
        return read
    # Something is wrong with them, and there it has its words.
    entries = [{"index": index, "score": score} for index, score in pairs]
    return by_index(entries, score_key="score", count=count)


def _read_at_once(
    pairs: Iterable[tuple[Json, Json]], count: int
) -> tuple[float, ...] | None:
    """Read as many pairs as documents; None: look closely, there is a fault somewhere."""
    try:
        found = dict(pairs)
        ordered = [found[index] for index in range(count)]
    except (LookupError, TypeError):
        return None
    # No subclass: to Python, True is 1.
    if not {*map(type, found)} <= _INTEGERS or not {*map(type, ordered)} <= _NUMBERS:
        return None
    return tuple(map(float, ordered)) if all(map(math.isfinite, ordered)) else None


_INTEGERS = {int}
_NUMBERS = {int, float}


def by_position(items: Json, *, count: int) -> tuple[float, ...]:
    """Read `[0.9, 0.1, …]`, promised to be in the order of the request.

    Raises:
        ContractBrokenError: Another length than `count`, or an entry that is no number.

    """
    entries = array(items, "the list of scores")
    if len(entries) != count:
        message = f"{len(entries)} scores for {count} documents"
        raise ContractBrokenError(message)
    return tuple(number(entry, "a score") for entry in entries)


def usage(tokens: Json = None, search_units: Json = None) -> Usage:
    """Read what a call cost; a vendor that is vague about it costs nothing known."""
    return Usage(
        search_units=_amount(search_units),
        tokens=int(_amount(tokens)),
    )


def member(value: Json, *path: str) -> Json:
    """Follow a path through JSON objects; None where it ends early.

    For what may be left unsaid. What has to be there is looked for in a `mapping`.
    """
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def _amount(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0.0
    return float(value) if value >= 0 and math.isfinite(value) else 0.0


def _kind(value: Json) -> str:
    names = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        type(None): "missing or null",
    }
    return names[type(value)]
