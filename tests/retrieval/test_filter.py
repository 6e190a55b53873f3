"""What a filter may say, and what fulfils it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.retrieval.filter import (
    And,
    Equals,
    Filter,
    In,
    Not,
    Or,
    Range,
    Value,
    faults,
    fits,
    in_doubles,
    matches,
)
from tests.retrieval.filters import FIELDS

_NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        (Equals("x", 1), "eq.field"),
        (Equals("s", 1), "eq.value"),
        (Equals("i", 1.0), "eq.value"),
        (Equals("i", True), "eq.value"),  # noqa: FBT003 - a value, not a flag
        (Equals("b", 1), "eq.value"),
        (Equals("i", 2**63), "eq.value"),
        (Equals("d", float("nan")), "eq.value"),
        (Equals("s", "é" * 513), "eq.value"),
        (Equals("s", "\ud800"), "eq.value"),
        (Equals("t", _NOW.replace(tzinfo=None)), "eq.value"),
        (In("i", ()), "in.values"),
        (In("i", tuple(range(1001))), "in.values"),
        (In("d", (1, 1.0)), "in.values"),
        (In("i", (1, "a")), "in.values"),
        (Range("i"), "range"),
        (Range("i", gt=1, gte=1), "range.gte"),
        (Range("i", lt=1, lte=1), "range.lte"),
        (Range("d", gt=1, lt=1.5), "range"),
        (Range("b", gt=False), "range.field"),
        (And(()), "and.filters"),
        (Not(Or(())), "not.or.filters"),
        (And((Equals("i", 1), Equals("x", 1))), "and.filters[1].eq.field"),
        (And((Equals("i", 1),) * 100), ""),
    ],
)
def test_every_fault_has_its_path(asked: Filter, path: str) -> None:
    assert path in [fault.path for fault in faults(asked, FIELDS)]


def test_every_fault_is_told_at_once() -> None:
    found = faults(And((Equals("x", 1), Equals("i", "a"))), FIELDS)
    assert [fault.path for fault in found] == [
        "and.filters[0].eq.field",
        "and.filters[1].eq.value",
    ]


def test_a_filter_has_at_most_eight_levels() -> None:
    asked: Filter = Equals("i", 1)
    for _ in range(7):
        asked = Not(asked)
    assert not faults(asked, FIELDS)
    for _ in range(5000):
        asked = Not(asked)
    assert faults(asked, FIELDS)


def test_whole_numbers_fit_a_field_of_doubles() -> None:
    assert not faults(Equals("d", 1), FIELDS)
    assert not faults(Range("d", gt=1), FIELDS)


@pytest.mark.parametrize(
    ("asked", "fulfilled"),
    [
        (Equals("s", "a"), True),
        (Equals("s", "A"), False),
        (Equals("i", 1), False),
        (Not(Equals("i", 1)), True),
        (Not(Not(Equals("i", 1))), False),
        (Range("i", lt=9), False),
        (In("s", ("b", "a")), True),
        (Range("t", gte=_NOW, lt=datetime.max.replace(tzinfo=UTC)), True),
        (Range("t", gt=_NOW), False),
        (Range("s", gt="A", lte="a"), True),
        (And((Equals("s", "a"), Not(Equals("d", 0.5)))), False),
        (Or((Equals("i", 1), Equals("d", 0.5))), True),
    ],
)
def test_a_field_without_a_value_fulfils_nothing(
    asked: Filter, *, fulfilled: bool
) -> None:
    values: dict[str, Value] = {"s": "a", "d": 0.5, "t": _NOW}
    assert not faults(asked, FIELDS)
    assert matches(asked, values) is fulfilled


@given(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(["gt", "gte", "lt", "lte"]),
    st.integers(-3, 3),
)
def test_a_whole_bound_means_the_same_over_doubles(
    bound: int, name: str, away: int
) -> None:
    asked = Range("d", **{name: bound})
    over_doubles = in_doubles(asked)
    assert all(isinstance(each, float) for each in over_doubles.bounds.values())
    values: dict[str, Value] = {"d": float(bound + away * 1024)}
    assert matches(asked, values) is matches(over_doubles, values)


def test_values_fit_their_own_type_alone() -> None:
    one_each: list[Value] = ["a", 1, 1.0, True, _NOW]
    table = [[fits(value, each.type) for each in FIELDS[1:]] for value in one_each]
    assert table == [[row == column for column in range(5)] for row in range(5)]
