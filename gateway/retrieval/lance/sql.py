"""Filters as LanceDB's SQL: nothing that a caller wrote is in it but quoted values.

Columns of fields are called by their places, so that no name needs quoting, and every
condition is true or false, never NULL.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

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

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPERATORS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_SMALLEST = -(2**63)


def column(place: int) -> str:
    """Name the column of the field at this place."""
    return f"f{place}"


def stored(value: Value) -> str | int | float | bool:
    """Give a value as it is in its column.

    Times are microseconds since 1970, since LanceDB's literals of time end in 2262. The two
    zeros are one, since it takes them for different.
    """
    if isinstance(value, datetime):
        return (value - _EPOCH) // timedelta(microseconds=1)
    if isinstance(value, float):
        return value + 0.0
    return value


def loaded(value: str | float | bool, kind: FieldType) -> Value:  # noqa: FBT001 - a value, not a flag
    """Give the value of a column back: the opposite of `stored`."""
    if kind is FieldType.TIMESTAMP:
        return _EPOCH + timedelta(microseconds=int(value))
    return value


def condition(asked: Filter, fields: Sequence[Field]) -> str:
    """Say in SQL what fulfils a filter, which has no faults for these fields."""
    places = {each.name: place for place, each in enumerate(fields)}

    def sql(asked: Filter) -> str:
        match asked:
            case And(filters):
                return _joined("AND", map(sql, filters))
            case Or(filters):
                return _joined("OR", map(sql, filters))
            case Not(inner):
                return f"(NOT {sql(inner)})"
        place = places[asked.field]
        return _present(column(place), _tests(asked, column(place), fields[place].type))

    return sql(asked)


def one_of(name: str, texts: Iterable[str]) -> str:
    """Say in SQL that a column of text has one of these values."""
    return f"{name} IN ({', '.join(map(_literal, texts))})"


def beyond(name: str, text: str) -> str:
    """Say in SQL that a column of text has a greater value."""
    return f"{name} > {_literal(text)}"


def _tests(asked: Equals | In | Range, name: str, kind: FieldType) -> str:
    match asked:
        case Equals(_, value):
            return _in(name, (value,), kind)
        case In(_, values):
            return _in(name, values, kind)
        case Range():
            if kind is FieldType.DOUBLE:
                asked = in_doubles(asked)
            return " AND ".join(
                f"{name} {_OPERATORS[bound]} {_literal(value)}"
                for bound, value in asked.bounds.items()
            )


def _in(name: str, values: tuple[Value, ...], kind: FieldType) -> str:
    if kind is FieldType.DOUBLE:
        # A whole number that is no double equals none; it must not be rounded to one.
        values = tuple(float(each) for each in values if float(each) == each)  # type: ignore[arg-type]  # checked: numbers
    if not values:
        return "false"
    return f"{name} IN ({', '.join(map(_literal, values))})"


def _literal(value: Value) -> str:
    plain = stored(value)
    if isinstance(plain, str):
        # A quote is doubled; a backslash means itself.
        return "'" + plain.replace("'", "''") + "'"
    if isinstance(plain, bool):
        return "true" if plain else "false"
    if plain == _SMALLEST and isinstance(plain, int):
        return f"({_SMALLEST + 1} - 1)"  # it reads the digits first, and then the minus
    if isinstance(plain, float):
        return f"CAST('{plain!r}' AS DOUBLE)"
    return repr(plain)


def _present(name: str, test: str) -> str:
    return f"({name} IS NOT NULL AND {test})"


def _joined(word: str, parts: Iterable[str]) -> str:
    return f"({f' {word} '.join(parts)})"
