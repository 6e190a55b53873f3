"""From a `Filter` to a condition, or to every fault that shows without the fields."""

import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
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
    faults,
)
from gateway.rpc.filters import read_filter
from gateway.rpc.violations import Violations
from rerank.v1 import filter_pb2

FIELDS = tuple(Field(f"a_{each}", each) for each in FieldType)


def message(**condition: Any) -> filter_pb2.Filter:
    # Names such as `and` are no Python, so all conditions are given by name.
    return filter_pb2.Filter(**condition)


def both(*filters: filter_pb2.Filter, name: str = "and") -> filter_pb2.Filter:
    return message(**{name: filter_pb2.FilterList(filters=filters)})


def negated(times: int, inner: filter_pb2.Filter) -> filter_pb2.Filter:
    for _ in range(times):
        inner = message(**{"not": inner})
    return inner


def value(given: Value) -> filter_pb2.Value:
    match given:
        case bool():
            return filter_pb2.Value(bool_value=given)
        case int():
            return filter_pb2.Value(int64_value=given)
        case float():
            return filter_pb2.Value(double_value=given)
        case str():
            return filter_pb2.Value(string_value=given)
        case datetime():
            at = Timestamp()
            at.FromDatetime(given)
            return filter_pb2.Value(timestamp_value=at)


def equal(field: str = "year", given: Value = 2024) -> filter_pb2.Filter:
    return message(eq=filter_pb2.EqualCondition(field=field, value=value(given)))


def among(*given: Value, field: str = "year") -> filter_pb2.Filter:
    values = [value(each) for each in given]
    return message(**{"in": filter_pb2.InCondition(field=field, values=values)})


def between(field: str = "year", **bounds: Value) -> filter_pb2.Filter:
    given = {name: value(each) for name, each in bounds.items()}
    return message(range=filter_pb2.RangeCondition(field=field, **given))


def at(seconds: int, nanos: int = 0) -> filter_pb2.Value:
    return filter_pb2.Value(timestamp_value=Timestamp(seconds=seconds, nanos=nanos))


def read(asked: filter_pb2.Filter) -> Filter:
    wrong = Violations()
    told = read_filter(asked, "filter", wrong)
    wrong.check()
    assert told is not None
    return told


def violations(asked: filter_pb2.Filter) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        read(asked)
    return [(each.field, each.description) for each in raised.value.violations]


# What is read


@pytest.mark.parametrize(
    "given",
    [
        "",
        "é" * 512,
        0,
        -(2**63),
        2**63 - 1,
        0.0,
        -1e308,
        False,
        True,
        datetime.now(UTC),
    ],
)
def test_a_value_comes_with_its_type(given: Value) -> None:
    told = read(equal(given=given))
    assert told == Equals("year", given)
    assert isinstance(told, Equals)
    assert type(told.value) is type(given)


def test_every_condition_is_read() -> None:
    asked = both(
        both(equal("a", "x"), equal("b", b := 1.5), name="or"),
        negated(1, among("x", "y", field="c")),
        between("d", gt=1, lte=3),
        between("e", gte=b, lt=2.5),
    )
    assert read(asked) == And(
        (
            Or((Equals("a", "x"), Equals("b", 1.5))),
            Not(In("c", ("x", "y"))),
            Range("d", gt=1, lte=3),
            Range("e", gte=1.5, lt=2.5),
        )
    )


@pytest.mark.parametrize("asked", [equal(given=False), equal(given=0), equal(given="")])
def test_a_value_that_python_takes_for_false_is_a_value(
    asked: filter_pb2.Filter,
) -> None:
    assert isinstance(read(asked), Equals)
    assert isinstance(read(negated(1, asked)), Not)


def test_a_bound_of_zero_is_a_bound() -> None:
    assert read(between(gte=0)) == Range("year", gte=0)


@pytest.mark.parametrize(
    ("seconds", "nanos", "told"),
    [
        (0, 999, datetime(1970, 1, 1, tzinfo=UTC)),
        (0, 1_999, datetime(1970, 1, 1, 0, 0, 0, 1, tzinfo=UTC)),
        (-1, 999_999_999, datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        (-62_135_596_800, 0, datetime(1, 1, 1, tzinfo=UTC)),
        (
            253_402_300_799,
            999_999_999,
            datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        ),
    ],
)
def test_what_is_finer_than_a_microsecond_is_cut_off(
    seconds: int, nanos: int, told: datetime
) -> None:
    asked = message(
        eq=filter_pb2.EqualCondition(field="when", value=at(seconds, nanos))
    )
    assert read(asked) == Equals("when", told)


def test_what_is_exactly_at_a_limit_is_taken() -> None:
    read(negated(7, equal()))
    read(both(*[equal()] * 99))
    read(among(*range(1000)))
    read(equal(given="é" * 512))


# What is refused

TRUTH_AND_NUMBER = (1, True)
FAULTS: Mapping[str, tuple[filter_pb2.Filter, str, str]] = {
    "no condition": (message(), "filter", "must have a condition"),
    "no condition within": (
        both(equal(), message()),
        "filter.and.filters[1]",
        "must have a condition",
    ),
    "nothing negated": (negated(1, message()), "filter.not", "must have a condition"),
    "no filters": (both(), "filter.and.filters", "at least one"),
    "no alternatives": (both(name="or"), "filter.or.filters", "at least one"),
    "no field": (equal(""), "filter.eq.field", "is required"),
    "no field far below": (
        both(equal(), negated(1, among(1, field="")), name="or"),
        "filter.or.filters[1].not.in.field",
        "is required",
    ),
    "no field of a range": (between("", gt=1), "filter.range.field", "is required"),
    "no value": (
        message(eq=filter_pb2.EqualCondition(field="a")),
        "filter.eq.value",
        "is required",
    ),
    "an empty value": (
        message(eq=filter_pb2.EqualCondition(field="a", value=filter_pb2.Value())),
        "filter.eq.value",
        "is required",
    ),
    "an empty bound": (
        message(range=filter_pb2.RangeCondition(field="a", lt=filter_pb2.Value())),
        "filter.range.lt",
        "is required",
    ),
    "a text too long": (
        equal(given="é" * 512 + "x"),
        "filter.eq.value",
        "at most 1024 bytes",
    ),
    "no number": (equal(given=math.nan), "filter.eq.value", "must be finite"),
    "an infinite bound": (between(lt=-math.inf), "filter.range.lt", "must be finite"),
    "a time before year 1": (
        message(eq=filter_pb2.EqualCondition(field="a", value=at(-62_135_596_801))),
        "filter.eq.value",
        "from year 1 to 9999",
    ),
    "a time after year 9999": (
        message(eq=filter_pb2.EqualCondition(field="a", value=at(253_402_300_800))),
        "filter.eq.value",
        "from year 1 to 9999",
    ),
    "nanoseconds below 0": (
        message(eq=filter_pb2.EqualCondition(field="a", value=at(0, -1))),
        "filter.eq.value",
        "from year 1 to 9999",
    ),
    "a second of nanoseconds": (
        message(eq=filter_pb2.EqualCondition(field="a", value=at(0, 1_000_000_000))),
        "filter.eq.value",
        "from year 1 to 9999",
    ),
    "no values": (among(), "filter.in.values", "1 to 1000 values"),
    "too many values": (among(*range(1001)), "filter.in.values", "1 to 1000 values"),
    "a wrong value among others": (
        among(1.0, math.inf),
        "filter.in.values[1]",
        "must be finite",
    ),
    "values of two types": (among(1, "1"), "filter.in.values", "one type"),
    "a truth among numbers": (among(*TRUTH_AND_NUMBER), "filter.in.values", "one type"),
    "no bound": (between(), "filter.range", "must have a bound"),
    "two lower bounds": (
        between(gt=1, gte=1),
        "filter.range.gte",
        "together with gt",
    ),
    "two upper bounds": (
        between(lt=1, lte=1),
        "filter.range.lte",
        "together with lt",
    ),
    "bounds of two types": (between(gt=1, lt=2.0), "filter.range", "one type"),
    "a range of truth": (between(gt=False), "filter.range.gt", "must not be a bool"),
    "too deep": (negated(8, equal()), "filter", "nested deeper than 8"),
    "too many conditions": (
        both(*[equal()] * 100),
        "filter",
        "at most 100 conditions",
    ),
}


@pytest.mark.parametrize(
    ("asked", "field", "words"), FAULTS.values(), ids=FAULTS.keys()
)
def test_each_fault_is_named_with_its_path(
    asked: filter_pb2.Filter, field: str, words: str
) -> None:
    ((said_field, said),) = violations(asked)
    assert said_field == field
    assert words in said


def test_every_fault_is_named_at_once() -> None:
    asked = both(
        message(),
        equal("", math.nan),
        among(1, "x", field=""),
        negated(1, between(gt=1, gte="a")),
        both(),
    )
    assert [field for field, _ in violations(asked)] == [
        "filter.and.filters[0]",
        "filter.and.filters[1].eq.field",
        "filter.and.filters[1].eq.value",
        "filter.and.filters[2].in.field",
        "filter.and.filters[2].in.values",
        "filter.and.filters[3].not.range.gte",
        "filter.and.filters[3].not.range",
        "filter.and.filters[4].and.filters",
    ]


def test_a_fault_is_told_without_quoting_a_value() -> None:
    said = violations(among("the secret" * 200, 1, field="secret"))
    assert "ecret" not in str(said)


def test_a_filter_of_a_million_conditions_is_refused_at_once() -> None:
    asked = both(*[message()] * 1000)
    wide = both(*[asked] * 1000)
    began = time.thread_time()
    ((_, said),) = violations(wide)
    assert "at most 100 conditions" in said
    assert time.thread_time() - began < 0.05


def test_a_filter_as_deep_as_a_message_can_be_is_refused() -> None:
    # Protobuf itself reads no deeper than 100 messages.
    ((_, said),) = violations(negated(98, equal()))
    assert "nested deeper than 8" in said


# And the engine's own check


VALUES: st.SearchStrategy[Value] = st.one_of(
    st.text(max_size=3),
    st.integers(0, 9),
    st.floats(0, 9),
    st.booleans(),
    st.datetimes(
        min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis wants it so
        timezones=st.just(UTC),
    ),
)
FIELD_NAMES = st.sampled_from([each.name for each in FIELDS])
LEAVES = st.one_of(
    st.builds(equal, FIELD_NAMES, VALUES),
    st.builds(
        lambda field, given: among(*given, field=field),
        FIELD_NAMES,
        st.lists(VALUES, max_size=2),
    ),
    st.builds(
        lambda field, bounds: between(field, **bounds),
        FIELD_NAMES,
        st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), VALUES),
    ),
)
FILTERS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.builds(
            lambda filters, name: both(*filters, name=name),
            st.lists(inner, max_size=2),
            st.sampled_from(["and", "or"]),
        ),
        st.builds(lambda each: negated(1, each), inner),
    ),
)
NEEDS_FIELDS = ("does not fit", "is no declared field", "is a bool, which has no range")


@given(FILTERS)
def test_what_is_read_has_no_fault_but_those_that_need_the_fields(
    asked: filter_pb2.Filter,
) -> None:
    try:
        told = read(asked)
    except InvalidRequest:
        return
    for each in faults(told, FIELDS):
        assert each.description.startswith(NEEDS_FIELDS)
