"""Filters as Weaviate's: a condition on what a document lacks is false there, too."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

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
from gateway.retrieval.weaviate import values
from gateway.retrieval.weaviate.layout import Place, places
from weaviate_api.v1.weaviate_pb2 import Filters, FilterTarget, TextArray

_OPERATORS = {
    "gt": Filters.OPERATOR_GREATER_THAN,
    "gte": Filters.OPERATOR_GREATER_THAN_EQUAL,
    "lt": Filters.OPERATOR_LESS_THAN,
    "lte": Filters.OPERATOR_LESS_THAN_EQUAL,
}
_AT_LEAST = {"gt": "gte", "gte": "gte", "lt": "lte", "lte": "lte"}
# No value is written so.
_NOTHING = "-"


def condition(asked: Filter, fields: Sequence[Field]) -> Filters:
    """Say in Weaviate's words what fulfils a filter without faults for these fields."""
    return _said(asked, places(fields))


def any_of(name: str, texts: Iterable[str]) -> Filters:
    """Say that a property is one of these texts."""
    return Filters(
        operator=Filters.OPERATOR_CONTAINS_ANY,
        target=FilterTarget(property=name),
        value_text_array=TextArray(values=texts),
    )


def _said(asked: Filter, fields: Mapping[str, Place]) -> Filters:
    match asked:
        case And(filters):
            return _all([_said(each, fields) for each in filters])
        case Or(filters):
            return _any([_said(each, fields) for each in filters])
        case Not(inner):
            return Filters(
                operator=Filters.OPERATOR_NOT, filters=[_said(inner, fields)]
            )
        case Equals(name, value):
            return _one_of((value,), fields[name])
        case In(name, several):
            return _one_of(several, fields[name])
        case Range(name):
            place = fields[name]
            if place.type is FieldType.DOUBLE:
                asked = in_doubles(asked)
            return _all(
                [_beyond(bound, each, place) for bound, each in asked.bounds.items()]
            )


def _one_of(several: Sequence[Value], place: Place) -> Filters:
    if place.type is FieldType.DOUBLE:
        # A whole number that is no double equals none; it must not be rounded.
        several = [float(each) for each in several if float(each) == each]  # type: ignore[arg-type]  # checked: numbers
    return any_of(place.exact, [values.text(each) for each in several] or [_NOTHING])


def _beyond(bound: str, value: Value, place: Place) -> Filters:
    """Say that a field lies beyond a bound, which is called gt, gte, lt or lte."""
    if isinstance(value, str):
        return Filters(
            operator=_OPERATORS[bound],
            target=FilterTarget(property=place.exact),
            value_text=values.text(value),
        )
    if place.type is FieldType.DOUBLE and not isinstance(value, datetime):
        value = float(value)
    high, low = values.halves(value)
    # By the high half, or, where that is the same, by the low one.
    return _any(
        [
            _compared(place.high, bound[:2], high),
            _all(
                [
                    _compared(place.high, _AT_LEAST[bound], high),
                    _compared(place.low, bound, low),
                ]
            ),
        ]
    )


def _compared(name: str, bound: str, number: int) -> Filters:
    return Filters(
        operator=_OPERATORS[bound],
        target=FilterTarget(property=name),
        value_int=number,
    )


def _all(filters: Sequence[Filters]) -> Filters:
    return _joined(Filters.OPERATOR_AND, filters)


def _any(filters: Sequence[Filters]) -> Filters:
    return _joined(Filters.OPERATOR_OR, filters)


def _joined(
    operator: "Filters.Operator.ValueType", filters: Sequence[Filters]
) -> Filters:
    if len(filters) == 1:
        return filters[0]
    return Filters(operator=operator, filters=filters)
