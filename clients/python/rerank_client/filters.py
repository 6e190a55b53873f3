"""Conditions on the declared fields of a collection.

    search("…", filter=all_of(equal("lang", "en"), between("year", gte=2020)))

A condition on a field for which a document has no value is not fulfilled, so `negated` is.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from rerank_client.types import (
    EqualCondition,
    Filter,
    FilterList,
    InCondition,
    RangeCondition,
    Value,
)

Scalar = str | bool | int | float | datetime
"""A value to compare with. A `datetime` has a time zone."""


def equal(field: str, value: Scalar) -> Filter:
    """Want a field to have this value."""
    return Filter(eq=EqualCondition(field=field, value=_value(value)))


def one_of(field: str, values: Iterable[Scalar]) -> Filter:
    """Want a field to have one of these values: 1 to 1000 of one type."""
    condition = InCondition(field=field, values=[_value(each) for each in values])
    return _filter("in", condition)


def between(
    field: str,
    *,
    gt: Scalar | None = None,
    gte: Scalar | None = None,
    lt: Scalar | None = None,
    lte: Scalar | None = None,
) -> Filter:
    """Want a field to lie between bounds: at most one below and one above."""
    return Filter(
        range=RangeCondition(
            field=field,
            gt=_bound(gt),
            gte=_bound(gte),
            lt=_bound(lt),
            lte=_bound(lte),
        )
    )


def all_of(*filters: Filter) -> Filter:
    """Want all of the filters to be fulfilled."""
    return _filter("and", FilterList(filters=filters))


def any_of(*filters: Filter) -> Filter:
    """Want at least one of the filters to be fulfilled."""
    return _filter("or", FilterList(filters=filters))


def negated(negative: Filter) -> Filter:
    """Want the filter not to be fulfilled."""
    return _filter("not", negative)


def _filter(kind: str, condition: InCondition | FilterList | Filter) -> Filter:
    """Write a condition whose name is a keyword of Python."""
    named: dict[str, Any] = {kind: condition}
    return Filter(**named)


def _bound(value: Scalar | None) -> Value | None:
    return None if value is None else _value(value)


def _value(value: Scalar) -> Value:
    match value:
        case bool():  # first: a bool is an int
            return Value(bool_value=value)
        case int():
            return Value(int64_value=value)
        case float():
            return Value(double_value=value)
        case str():
            return Value(string_value=value)
        case datetime():
            if value.tzinfo is None:
                message = "a datetime to compare with needs a time zone"
                raise ValueError(message)
            timestamp = Timestamp()
            timestamp.FromDatetime(value)
            return Value(timestamp_value=timestamp)
