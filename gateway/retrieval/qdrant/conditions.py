"""Filters as Qdrant's: a condition on what a document lacks is false there, too."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from qdrant_client import models

from gateway.retrieval import ordering
from gateway.retrieval.filter import (
    And,
    Equals,
    Field,
    FieldType,
    Filter,
    In,
    Not,
    Or,
    Range,
    Value,
    in_doubles,
)

VALUES = "fields"
"""Where a point has the values of a document's fields, by their names."""
ORDER = "order"
"""Where it has those lists of numbers that compare as these values do."""

_NOTHING = models.Filter(must=[models.HasIdCondition(has_id=[])])


def condition(asked: Filter, fields: Sequence[Field]) -> models.Filter:
    """Say in Qdrant's words what fulfils a filter without faults for these fields."""
    types = {each.name: each.type for each in fields}
    return _said(asked, types)


def indexes(fields: Sequence[Field]) -> Iterator[tuple[str, models.PayloadSchemaType]]:
    """Give the paths that conditions look at, and what is there."""
    kinds = models.PayloadSchemaType
    for each in fields:
        match each.type:
            case FieldType.STRING:
                yield f"{VALUES}.{each.name}", kinds.KEYWORD
                yield f"{ORDER}.{each.name}[0]", kinds.INTEGER
            case FieldType.DOUBLE:
                yield f"{ORDER}.{each.name}[0]", kinds.INTEGER
            case FieldType.INT64:
                yield f"{VALUES}.{each.name}", kinds.INTEGER
            case FieldType.BOOL:
                yield f"{VALUES}.{each.name}", kinds.BOOL
            case FieldType.TIMESTAMP:
                yield f"{VALUES}.{each.name}", kinds.DATETIME


def _said(asked: Filter, types: Mapping[str, FieldType]) -> models.Filter:
    match asked:
        case And(filters):
            return models.Filter(must=[_said(each, types) for each in filters])
        case Or(filters):
            return models.Filter(should=[_said(each, types) for each in filters])
        case Not(inner):
            return models.Filter(must_not=[_said(inner, types)])
        case Equals(name, value):
            return _one_of(name, (value,), types[name])
        case In(name, values):
            return _one_of(name, values, types[name])
        case Range(name):
            if types[name] is FieldType.DOUBLE:
                asked = in_doubles(asked)
            return models.Filter(
                must=[
                    _beyond(name, bound, value, types[name])
                    for bound, value in asked.bounds.items()
                ]
            )


def _one_of(name: str, values: Sequence[Value], kind: FieldType) -> models.Filter:
    match kind:
        case FieldType.DOUBLE:
            # A whole number that is no double equals none; it must not be rounded.
            near = [float(each) for each in values if float(each) == each]  # type: ignore[arg-type]  # checked: numbers
            found: list[models.Condition] = [
                _equal(name, ordering.of_double(each)) for each in near
            ]
            return models.Filter(should=found) if found else _NOTHING
        case FieldType.TIMESTAMP:
            return models.Filter(
                should=[
                    _field(name, range=models.DatetimeRange(gte=each, lte=each))
                    for each in values
                    if isinstance(each, datetime)
                ]
            )
        case FieldType.BOOL:
            return models.Filter(
                should=[
                    _field(name, match=models.MatchValue(value=each))
                    for each in values
                    if isinstance(each, bool)
                ]
            )
        case FieldType.STRING | FieldType.INT64:
            any_of = models.MatchAny(any=list(values))  # type: ignore[arg-type]  # checked: of one type
            return models.Filter(must=[_field(name, match=any_of)])


def _beyond(name: str, bound: str, value: Value, kind: FieldType) -> models.Filter:
    """Say that a field lies beyond a bound, which is called gt, gte, lt or lte."""
    match value:
        case datetime():
            return _all(_field(name, range=models.DatetimeRange(**{bound: value})))
        case str():
            return _compared(name, bound, ordering.of_text(value))
        case int() if kind is FieldType.INT64:
            return _whole_beyond(name, bound, value)
        case int() | float():
            return _compared(name, bound, ordering.of_double(float(value)))


def _whole_beyond(name: str, bound: str, value: int) -> models.Filter:
    """Compare as they are those that can be, and the others by their order."""
    largest = ordering.LARGEST_EXACT
    far = _compared(name, bound, ordering.of_whole(value))
    if -largest < value < largest:
        # What is far is rounded, but not past this bound.
        return _all(_field(name, range=models.Range(**{bound: value})))
    upward = bound in ("gt", "gte")
    if (value > 0) == upward:
        return far
    near = models.Range(gt=-largest) if upward else models.Range(lt=largest)
    return models.Filter(should=[_field(name, range=near), far])


def _compared(name: str, bound: str, numbers: Sequence[int]) -> models.Filter:
    """Compare lists: by the first number that differs."""
    either: list[models.Condition] = [
        models.Filter(
            must=[
                *_begins(name, numbers[:place]),
                models.FieldCondition(
                    key=_place(name, place), range=models.Range(**{bound[:2]: number})
                ),
            ]
        )
        for place, number in enumerate(numbers)
    ]
    if bound in ("gte", "lte"):
        either.append(_equal(name, numbers))
    return models.Filter(should=either)


def _equal(name: str, numbers: Sequence[int]) -> models.Filter:
    return models.Filter(must=list(_begins(name, numbers)))


def _begins(name: str, numbers: Iterable[int]) -> Iterator[models.Condition]:
    for place, number in enumerate(numbers):
        yield models.FieldCondition(
            key=_place(name, place), match=models.MatchValue(value=number)
        )


def _place(name: str, place: int) -> str:
    return f"{ORDER}.{name}[{place}]"


def _field(
    name: str,
    *,
    match: models.Match | None = None,
    range: models.RangeInterface | None = None,  # noqa: A002 - as Qdrant calls it
) -> models.FieldCondition:
    return models.FieldCondition(key=f"{VALUES}.{name}", match=match, range=range)


def _all(*conditions: models.Condition) -> models.Filter:
    return models.Filter(must=list(conditions))
