"""Conditions on the declared fields of a collection, and what fulfils them.

A condition on a field for which a document has no value is not fulfilled, so its `not` is.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

Value = str | int | float | bool | datetime

MOST_CONDITIONS = 100
MOST_DEPTH = 8
MOST_VALUES = 1000
MOST_STRING_BYTES = 1024


class FieldType(StrEnum):
    """What a field's values are."""

    STRING = "string"
    INT64 = "int64"
    DOUBLE = "double"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    """A `datetime` with an offset, exact to the microsecond."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field that can be filtered by."""

    name: str
    type: FieldType


@dataclass(frozen=True, slots=True)
class Equals:
    """Fulfilled if a field has this value, exactly."""

    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class In:
    """Fulfilled if a field has one of these values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Range:
    """Fulfilled if a field lies between bounds; strings compare by code point."""

    field: str
    gt: Value | None = None
    gte: Value | None = None
    lt: Value | None = None
    lte: Value | None = None

    @property
    def bounds(self) -> dict[str, Value]:
        """The bounds that are given, by their names."""
        named = {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return {name: bound for name, bound in named.items() if bound is not None}


@dataclass(frozen=True, slots=True)
class And:
    """Fulfilled if all of the filters are."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Fulfilled if at least one of the filters is."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Fulfilled if the filter is not."""

    filter: "Filter"


Filter = Equals | In | Range | And | Or | Not


@dataclass(frozen=True, slots=True)
class Fault:
    """One mistake in a filter."""

    path: str
    """Below the filter, such as `and.filters[1].eq.field`; empty for the filter itself."""
    description: str
    """What is wrong and what the limit is; never quotes a value."""


def faults(asked: Filter, fields: tuple[Field, ...]) -> tuple[Fault, ...]:
    """Find every mistake of a filter for a collection with these fields."""
    if _depth(asked) > MOST_DEPTH:
        return (Fault("", f"is nested deeper than {MOST_DEPTH}"),)
    if (count := _conditions(asked)) > MOST_CONDITIONS:
        return (Fault("", f"has {count} conditions; at most {MOST_CONDITIONS}"),)
    return tuple(_faults(asked, {each.name: each.type for each in fields}, ""))


def matches(asked: Filter, values: Mapping[str, Value]) -> bool:
    """Tell whether a document with these values fulfils a filter without faults."""
    match asked:
        case And(filters):
            fulfilled = all(matches(each, values) for each in filters)
        case Or(filters):
            fulfilled = any(matches(each, values) for each in filters)
        case Not(inner):
            fulfilled = not matches(inner, values)
        case Equals(field, value):
            fulfilled = field in values and values[field] == value
        case In(field, choices):
            fulfilled = field in values and values[field] in choices
        case Range(field):
            fulfilled = field in values and all(
                _COMPARE[name](values[field], bound)
                for name, bound in asked.bounds.items()
            )
    return fulfilled


def fits(value: Value, wanted: FieldType) -> bool:
    """Tell whether a field of this type can have this value."""
    match value:
        case bool():
            return wanted is FieldType.BOOL
        case int():
            return wanted is FieldType.INT64 and -(2**63) <= value < 2**63
        case float():
            return wanted is FieldType.DOUBLE and math.isfinite(value)
        case str():
            return wanted is FieldType.STRING and _is_short_text(value)
        case datetime():
            return wanted is FieldType.TIMESTAMP and value.utcoffset() is not None


def in_doubles(asked: Range) -> Range:
    """Give the range over doubles that means the same as one with whole numbers.

    Doubles beyond 2^53 are whole numbers with gaps, and a bound in a gap moves to the next
    double inward.
    """
    for name, bound in asked.bounds.items():
        if not isinstance(bound, int):
            continue
        near = float(bound)
        included = name in ("gte", "lte")
        if near != bound:
            lies_below, wanted_below = near < bound, name in ("lt", "lte")
            if lies_below is not wanted_below:
                near = math.nextafter(near, -math.inf if wanted_below else math.inf)
            included = True  # the double beside a gap is inside, or it was not in it
        if name in ("gt", "gte"):
            kept = {"gte": near} if included else {"gt": near}
            asked = Range(asked.field, lt=asked.lt, lte=asked.lte, **kept)
        else:
            kept = {"lte": near} if included else {"lt": near}
            asked = Range(asked.field, gt=asked.gt, gte=asked.gte, **kept)
    return asked


_COMPARE = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}


def _depth(asked: Filter) -> int:
    # By levels, not by recursion: how deep it goes is what is to be found out.
    level, depth = [asked], 0
    while level and depth <= MOST_DEPTH:
        level = [inner for each in level for inner in _inside(each)]
        depth += 1
    return depth


def _conditions(asked: Filter) -> int:
    return 1 + sum(_conditions(each) for each in _inside(asked))


def _inside(asked: Filter) -> tuple[Filter, ...]:
    match asked:
        case And(filters) | Or(filters):
            return filters
        case Not(inner):
            return (inner,)
        case _:
            return ()


def _faults(
    asked: Filter, types: Mapping[str, FieldType], path: str
) -> Iterator[Fault]:
    match asked:
        case And(filters) | Or(filters):
            name = "and" if isinstance(asked, And) else "or"
            if not filters:
                yield Fault(f"{path}{name}.filters", "is empty; at least one")
            for place, each in enumerate(filters):
                yield from _faults(each, types, f"{path}{name}.filters[{place}].")
        case Not(inner):
            yield from _faults(inner, types, f"{path}not.")
        case Equals(field, value):
            yield from _misfits(field, {"value": value}, types, f"{path}eq.")
        case In(field, values):
            if not 1 <= len(values) <= MOST_VALUES:
                yield Fault(
                    f"{path}in.values", f"has {len(values)} values; 1 to {MOST_VALUES}"
                )
            if len({type(each) for each in values}) > 1:
                yield Fault(f"{path}in.values", "has values of different types")
            named = {f"values[{place}]": each for place, each in enumerate(values)}
            yield from _misfits(field, named, types, f"{path}in.")
        case Range(field):
            yield from _range_faults(asked, types.get(field), f"{path}range")
            yield from _misfits(field, asked.bounds, types, f"{path}range.")


def _range_faults(
    asked: Range, of_type: FieldType | None, path: str
) -> Iterator[Fault]:
    if not asked.bounds:
        yield Fault(path, "has no bound; at least one")
    if of_type is FieldType.BOOL:
        yield Fault(f"{path}.field", "is a bool, which has no range")
    if len({type(each) for each in asked.bounds.values()}) > 1:
        yield Fault(path, "has bounds of different types")
    for first, second in (("gt", "gte"), ("lt", "lte")):
        if {first, second} <= asked.bounds.keys():
            yield Fault(f"{path}.{second}", f"is given together with {first}")


def _misfits(
    field: str,
    values: Mapping[str, Value],
    types: Mapping[str, FieldType],
    path: str,
) -> Iterator[Fault]:
    if field not in types:
        yield Fault(f"{path}field", "is no declared field of the collection")
        return
    wanted = types[field]
    for name, value in values.items():
        # Doubles compare with whole numbers too; fields of whole numbers have no others.
        also = wanted is FieldType.DOUBLE and fits(value, FieldType.INT64)
        if not also and not fits(value, wanted):
            yield Fault(f"{path}{name}", f"does not fit a field of type {wanted}")


def _is_short_text(value: str) -> bool:
    try:
        return len(value.encode()) <= MOST_STRING_BYTES
    except UnicodeEncodeError:  # half a surrogate pair is no text
        return False
