"""From a `Filter` to a condition, or to every fault that shows without the fields.

Those that need the fields of a collection are found where it is:
`gateway.retrieval.filter.faults`.
"""

import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice

from google.protobuf.timestamp_pb2 import Timestamp

from gateway.retrieval.filter import (
    MOST_CONDITIONS,
    MOST_DEPTH,
    MOST_STRING_BYTES,
    MOST_VALUES,
    And,
    Equals,
    Filter,
    In,
    Not,
    Or,
    Range,
    Value,
)
from gateway.rpc.violations import Violations, bytes_over
from rerank.v1 import filter_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_SECOND = -62_135_596_800
_LAST_SECOND = 253_402_300_799
_NANOS = 1_000_000_000


def read_filter(
    message: filter_pb2.Filter, path: str, wrong: Violations
) -> Filter | None:
    """Read a condition.

    Args:
        message: As it came.
        path: Where it is in its request, such as `filter`.
        wrong: Told every fault.

    Returns:
        Of use only if `wrong` was told nothing; None never is.

    """
    if not _is_bounded(message, path, wrong):
        return None
    return _filter(message, path, wrong)


def _is_bounded(message: filter_pb2.Filter, path: str, wrong: Violations) -> bool:
    # By levels, not by recursion: how deep it goes is what is to be found out. And no
    # more of a level than is needed to tell: a request has room for millions.
    level, depth, count = [message], 1, 1
    while level:
        if depth > MOST_DEPTH:
            wrong.add(path, f"must not be nested deeper than {MOST_DEPTH}")
            return False
        if count > MOST_CONDITIONS:
            wrong.add(path, f"must have at most {MOST_CONDITIONS} conditions")
            return False
        inside = chain.from_iterable(_inside(each) for each in level)
        level = list(islice(inside, MOST_CONDITIONS))
        depth += 1
        count += len(level)
    return True


def _inside(message: filter_pb2.Filter) -> Iterable[filter_pb2.Filter]:
    match message.WhichOneof("condition"):
        case "and" | "or" as name:
            filters: Sequence[filter_pb2.Filter] = getattr(message, name).filters
            return filters
        case "not":
            return (getattr(message, "not"),)
        case _:
            return ()


def _filter(message: filter_pb2.Filter, path: str, wrong: Violations) -> Filter | None:
    name = message.WhichOneof("condition")
    if name is None:
        wrong.add(path, "must have a condition")
        return None
    condition = getattr(message, name)
    path = f"{path}.{name}"
    read: Filter | None
    match name:
        case "and":
            read = And(_filters(condition, path, wrong))
        case "or":
            read = Or(_filters(condition, path, wrong))
        case "not":
            inner = _filter(condition, path, wrong)
            read = inner and Not(inner)
        case "eq":
            read = _equals(condition, path, wrong)
        case "in":
            read = _in(condition, path, wrong)
        case "range":
            read = _range(condition, path, wrong)
    return read


def _filters(
    message: filter_pb2.FilterList, path: str, wrong: Violations
) -> tuple[Filter, ...]:
    if not message.filters:
        wrong.add(f"{path}.filters", "must have at least one filter")
    read = (
        _filter(each, f"{path}.filters[{place}]", wrong)
        for place, each in enumerate(message.filters)
    )
    return tuple(each for each in read if each)


def _equals(
    message: filter_pb2.EqualCondition, path: str, wrong: Violations
) -> Equals | None:
    _check_field(message.field, path, wrong)
    value = _value(message.value, f"{path}.value", wrong)
    return None if value is None else Equals(message.field, value)


def _in(message: filter_pb2.InCondition, path: str, wrong: Violations) -> In | None:
    _check_field(message.field, path, wrong)
    if not 1 <= len(message.values) <= MOST_VALUES:
        wrong.add(f"{path}.values", f"must have 1 to {MOST_VALUES} values")
        return None
    read = (
        _value(each, f"{path}.values[{place}]", wrong)
        for place, each in enumerate(message.values)
    )
    values = tuple(each for each in read if each is not None)
    if len({type(each) for each in values}) > 1:
        wrong.add(f"{path}.values", "must have values of one type")
    return In(message.field, values)


def _range(message: filter_pb2.RangeCondition, path: str, wrong: Violations) -> Range:
    _check_field(message.field, path, wrong)
    given = [field.name for field, _ in message.ListFields() if field.name != "field"]
    if not given:
        wrong.add(path, "must have a bound")
    for first, second in (("gt", "gte"), ("lt", "lte")):
        if first in given and second in given:
            wrong.add(f"{path}.{second}", f"must not be given together with {first}")
    bounds = {}
    for name in given:
        value = _value(getattr(message, name), f"{path}.{name}", wrong)
        if isinstance(value, bool):
            wrong.add(f"{path}.{name}", "must not be a bool, which has no range")
        if value is not None:
            bounds[name] = value
    if len({type(each) for each in bounds.values()}) > 1:
        wrong.add(path, "must have bounds of one type")
    return Range(message.field, **bounds)


def _check_field(field: str, path: str, wrong: Violations) -> None:
    if not field:
        wrong.add(f"{path}.field", "is required")


def _value(message: filter_pb2.Value, path: str, wrong: Violations) -> Value | None:
    """Read a value; None: it is wrong, and `wrong` was told."""
    kind = message.WhichOneof("kind")
    fault = ""
    value: Value | None = None
    match kind:
        case "timestamp_value":
            if not (value := _point_in_time(message.timestamp_value)):
                fault = "must be a time from year 1 to 9999"
        case None:
            fault = "is required"
        case _:
            value = getattr(message, kind)
            if isinstance(value, str) and bytes_over(MOST_STRING_BYTES, value):
                fault = f"must have at most {MOST_STRING_BYTES} bytes of UTF-8"
            elif isinstance(value, float) and not math.isfinite(value):
                fault = "must be finite"
    if fault:
        wrong.add(path, fault)
        return None
    return value


def _point_in_time(message: Timestamp) -> datetime | None:
    """Read a time to the microsecond; None: it is not in the contract's range."""
    if not _FIRST_SECOND <= message.seconds <= _LAST_SECOND:
        return None
    if not 0 <= message.nanos < _NANOS:
        return None
    return _EPOCH + timedelta(
        seconds=message.seconds, microseconds=message.nanos // 1000
    )
