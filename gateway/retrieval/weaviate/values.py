"""Values of fields as texts that compare as they do, exactly.

Weaviate cuts blanks off texts before it compares them, takes numbers as doubles, and its
dates are those that fit into nanoseconds. What is written here has no blanks, and is
compared byte by byte.
"""

from datetime import UTC, datetime, timedelta

from gateway.retrieval import ordering
from gateway.retrieval.filter import FieldType, Value

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
# Before every text: an empty one would be none.
_SOMETHING = "="

NUMERIC = (FieldType.INT64, FieldType.DOUBLE, FieldType.TIMESTAMP)
"""What is a number of 64 bits at last, of which two halves are kept, too."""


def text(value: Value) -> str:
    """Write a value that fits its field."""
    match value:
        case bool():
            return str(int(value))
        case str():
            return _SOMETHING + value.encode().hex()
        case _:
            high, low = halves(value)
            return f"{high:08x}{low:08x}"


def halves(value: float | datetime) -> list[int]:
    """Give both halves of a number or a time, from 0 to 2^32 - 1 each."""
    match value:
        case datetime():
            return ordering.of_whole((value - _BEGIN) // _TICK)
        case float():
            return ordering.of_double(value)
        case int():
            return ordering.of_whole(value)


def value(written: str, kind: FieldType) -> Value:
    """Read a value back: the opposite of `text`."""
    match kind:
        case FieldType.BOOL:
            return written == "1"
        case FieldType.STRING:
            return bytes.fromhex(written.removeprefix(_SOMETHING)).decode()
        case FieldType.DOUBLE:
            return ordering.double(_numbers(written))
        case FieldType.INT64:
            return ordering.whole(_numbers(written))
        case FieldType.TIMESTAMP:
            return _BEGIN + ordering.whole(_numbers(written)) * _TICK


def _numbers(written: str) -> list[int]:
    return [int(written[:8], 16), int(written[8:], 16)]
