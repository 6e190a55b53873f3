"""Filters mean in Weaviate what they mean everywhere, and values come back as they were."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.retrieval.filter import FieldType, Filter, Range, Value
from gateway.retrieval.weaviate import values
from tests.retrieval.comparing import compare
from tests.retrieval.filters import documents, filters
from tests.retrieval.weaviates import reached
from tests.support.weaviate_server import Node, one_weaviate, some_prefix

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with one_weaviate(tmp_path_factory.mktemp("weaviate")) as found:
        yield found


@given(
    st.lists(documents(), min_size=1, max_size=8),
    st.lists(filters(), min_size=6, max_size=6),
)
# A failure is told as it is: to make it smaller takes minutes.
@settings(max_examples=40, deadline=None, phases=[Phase.generate])
def test_filters_by_chance(
    node: Node, stored: list[dict[str, Value]], asked: list[Filter]
) -> None:
    async def run() -> None:
        async with reached([node], prefix=some_prefix()) as engine:
            await compare(engine, stored, asked)

    asyncio.run(run())


async def test_the_longest_strings_compare(node: Node) -> None:
    beginning = "é" * 500
    stored: list[dict[str, Value]] = [
        {"s": text} for text in ("", " ", beginning, f"{beginning}a", f"{beginning}\0")
    ]
    bounds: list[Any] = [beginning, f"{beginning}a", "", " "]
    asked: list[Filter] = [
        Range("s", **{bound: text})
        for text in bounds
        for bound in ("gt", "gte", "lt", "lte")
    ]
    async with reached([node], prefix=some_prefix()) as engine:
        await compare(engine, stored, asked)


_TYPED: list[tuple[FieldType, st.SearchStrategy[Any]]] = [
    (FieldType.STRING, st.text(st.characters(exclude_categories=["Cs"]))),
    (FieldType.INT64, st.integers(-(2**63), 2**63 - 1)),
    (FieldType.DOUBLE, st.floats(allow_nan=False, allow_infinity=False)),
    (FieldType.TIMESTAMP, st.datetimes(timezones=st.just(UTC))),
]


@pytest.mark.parametrize(("kind", "strategy"), _TYPED)
def test_values_compare_as_their_texts(
    kind: FieldType, strategy: st.SearchStrategy[Any]
) -> None:
    @given(strategy, strategy)
    def check(first: Any, second: Any) -> None:
        one, other = values.text(first), values.text(second)
        assert (one < other) == (first < second)
        assert (one == other) == (first == second)
        assert values.value(one, kind) == first

    check()


def test_times_of_all_places_are_one() -> None:
    here = datetime(2026, 1, 1, 2, tzinfo=UTC)
    there = here.astimezone(timezone(timedelta(hours=2)))
    assert values.text(here) == values.text(there)
