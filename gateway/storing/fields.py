"""From a document's metadata to the typed values that can be filtered by."""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from gateway.retrieval.filter import MOST_STRING_BYTES, Field, FieldType, Value

_LARGEST_WHOLE = 2**53 - 1
# RFC 3339, section 5.6; Python reads more than that, and leap seconds not at all.
_TIMESTAMP = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)

_WANTED = {
    FieldType.STRING: f"a string of at most {MOST_STRING_BYTES} bytes",
    FieldType.INT64: "a whole number from -(2^53 - 1) to 2^53 - 1",
    FieldType.DOUBLE: "a finite number",
    FieldType.BOOL: "true or false",
    FieldType.TIMESTAMP: "a time as in RFC 3339 with an offset",
}


def typed_values(
    metadata: Mapping[str, object], fields: Sequence[Field]
) -> tuple[Mapping[str, Value], tuple[str, ...]]:
    """Read the declared fields of a document.

    Args:
        metadata: Plain JSON; `None` is no value.
        fields: Those that the collection declares.

    Returns:
        The values of those that have one, by their names; and what is wrong with the
        others, which never quotes a value.

    """
    values: dict[str, Value] = {}
    wrong = []
    for field in fields:
        given = metadata.get(field.name)
        if given is None:
            continue
        value = _typed(given, field.type)
        if value is None:
            wrong.append(f"metadata.{field.name} is not {_WANTED[field.type]}")
        else:
            values[field.name] = value
    return values, tuple(wrong)


def _typed(given: object, wanted: FieldType) -> Value | None:
    """Give a value as a field of this type has it; None: it is no such value."""
    match given:
        case bool():
            return given if wanted is FieldType.BOOL else None
        case int() | float() if wanted is FieldType.DOUBLE:
            return float(given) if math.isfinite(given) else None
        case int() | float() if wanted is FieldType.INT64:
            return _whole(given)
        case str() if wanted is FieldType.STRING:
            return given if len(given.encode()) <= MOST_STRING_BYTES else None
        case str() if wanted is FieldType.TIMESTAMP:
            return _time(given)
    return None


def _whole(given: float) -> int | None:
    # False for what is not finite, too.
    if not abs(given) <= _LARGEST_WHOLE or given % 1:
        return None
    return int(given)


def _time(given: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(given):
        return None
    try:
        return datetime.fromisoformat(given.upper()).astimezone(UTC)
    except (ValueError, OverflowError):  # the 31st of April; before the year 1
        return None
