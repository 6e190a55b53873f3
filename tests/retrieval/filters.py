"""Filters and values by chance, hostile ones among them."""

from datetime import UTC, datetime

from hypothesis import strategies as st

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
)

FIELDS = (
    Field("s", FieldType.STRING),
    Field("S", FieldType.STRING),
    Field("i", FieldType.INT64),
    Field("d", FieldType.DOUBLE),
    Field("b", FieldType.BOOL),
    Field("t", FieldType.TIMESTAMP),
)

_TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "'",
            "''",
            "\\",
            "\\'",
            '"',
            "`",
            "\0",
            "a\0b",
            "x' OR '1'='1",
            "'; DROP TABLE c; --",
            "/*",
            "%",
            "_",
            "\n",
            "é",
            "\U0001f600",
            "\uffff",
            "a",
            "A",
            "null",
            "${x}",
            "{}",
            "?",
            "$1",
            ":x",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text("'\\\"\0`;-ab", max_size=6),
)
_INTS = st.one_of(
    st.sampled_from([-(2**63), 2**63 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 0]),
    st.integers(-3, 3),
    st.integers(-(2**63), 2**63 - 1),
)
_DOUBLES = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, -5e-324, 1e300, 2.0**53, 2.0**53 + 2, 0.1]),
    st.sampled_from([1.7976931348623157e308, -1.7976931348623157e308, 2.0**63]),
    st.integers(-3, 3).map(float),
    st.floats(allow_nan=False, allow_infinity=False),
)
_TIMES = st.one_of(
    st.sampled_from(
        [
            datetime.min.replace(tzinfo=UTC),
            datetime.max.replace(tzinfo=UTC),
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        ]
    ),
    st.datetimes(timezones=st.just(UTC)),
)

_STORED: dict[FieldType, st.SearchStrategy[Value]] = {
    FieldType.STRING: _TEXTS,
    FieldType.INT64: _INTS,
    FieldType.DOUBLE: _DOUBLES,
    FieldType.BOOL: st.booleans(),
    FieldType.TIMESTAMP: _TIMES,
}
_ASKED = {name: [values] for name, values in _STORED.items()}
_ASKED[FieldType.DOUBLE].append(_INTS)  # whole numbers fit a field of doubles


def documents() -> st.SearchStrategy[dict[str, Value]]:
    """Give the values of a document; each may be missing."""
    return st.fixed_dictionaries(
        {}, optional={each.name: _STORED[each.type] for each in FIELDS}
    )


def _conditions() -> st.SearchStrategy[Filter]:
    return st.one_of(
        *(
            _conditions_on(each.name, values, ranged=each.type is not FieldType.BOOL)
            for each in FIELDS
            for values in _ASKED[each.type]
        )
    )


def _conditions_on(
    name: str, values: st.SearchStrategy[Value], *, ranged: bool
) -> st.SearchStrategy[Filter]:
    kinds: list[st.SearchStrategy[Filter]] = [
        st.builds(Equals, st.just(name), values),
        st.builds(
            In, st.just(name), st.lists(values, min_size=1, max_size=5).map(tuple)
        ),
    ]
    if ranged:
        kinds += [
            st.builds(
                lambda lower, upper: Range(name, gt=lower, lte=upper), values, values
            ),
            st.builds(
                lambda lower, upper: Range(name, gte=lower, lt=upper), values, values
            ),
            st.builds(lambda lower: Range(name, gt=lower), values),
            st.builds(lambda upper: Range(name, lt=upper), values),
        ]
    return st.one_of(*kinds)


def filters() -> st.SearchStrategy[Filter]:
    """Give filters without faults for `FIELDS`."""
    return st.recursive(
        _conditions(),
        lambda inner: st.one_of(
            st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(Not, inner),
        ),
        max_leaves=6,
    )
