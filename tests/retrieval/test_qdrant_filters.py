"""Filters mean in Qdrant what they mean everywhere, and values come back as they were."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.retrieval import ordering
from gateway.retrieval.filter import Filter, Range, Value
from tests.retrieval.comparing import compare
from tests.retrieval.filters import documents, filters
from tests.retrieval.qdrants import in_memory, reached
from tests.support.qdrant_server import qdrant_server

pytestmark = pytest.mark.real_time

_DOUBLES = st.floats(allow_nan=False, allow_infinity=False)


@given(st.data())
# A failure is told as it is: to make it smaller, each try would take a server.
@settings(max_examples=15, deadline=None, phases=[Phase.generate])
def test_filters_by_chance_over_the_wire(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    async def run(stored: list[dict[str, Value]], asked: list[Filter]) -> None:
        folder = tmp_path_factory.mktemp("filters")
        async with qdrant_server(folder) as server, reached(server.address) as engine:
            await compare(engine, stored, asked)

    asyncio.run(
        run(
            data.draw(st.lists(documents(), min_size=1, max_size=8)),
            data.draw(st.lists(filters(), min_size=6, max_size=6)),
        )
    )


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect")
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
@given(
    st.lists(documents(), min_size=1, max_size=8),
    st.lists(filters(), min_size=6, max_size=6),
)
@settings(max_examples=50, deadline=None)
def test_filters_by_chance_in_local_mode(
    stored: list[dict[str, Value]], asked: list[Filter]
) -> None:
    async def run() -> None:
        async with in_memory() as engine:
            await compare(engine, stored, asked)

    asyncio.run(run())


async def test_the_longest_strings_compare(tmp_path: Path) -> None:
    beginning = "é" * 500
    stored: list[dict[str, Value]] = [
        {"s": text} for text in ("", beginning, f"{beginning}a", f"{beginning}\0")
    ]
    bounds: list[Any] = [beginning, f"{beginning}a", ""]
    asked: list[Filter] = [
        Range("s", **{bound: text})
        for text in bounds
        for bound in ("gt", "gte", "lt", "lte")
    ]
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await compare(engine, stored, asked)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text("\0ab", max_size=20))
def test_texts_compare_as_their_numbers(first: str, second: str) -> None:
    one, other = ordering.of_text(first), ordering.of_text(second)
    assert (one < other) == (first < second)
    assert (one == other) == (first == second)
    assert all(0 <= each < ordering.LARGEST_EXACT for each in one)


@given(_DOUBLES, _DOUBLES)
def test_doubles_compare_as_their_numbers(first: float, second: float) -> None:
    one, other = ordering.of_double(first), ordering.of_double(second)
    assert (one < other) == (first < second)
    assert (one == other) == (first == second)
    assert ordering.double(one) == first


@given(st.integers(-(2**63), 2**63 - 1), st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_compare_as_their_numbers(first: int, second: int) -> None:
    one, other = ordering.of_whole(first), ordering.of_whole(second)
    assert (one < other) == (first < second)
    assert (one == other) == (first == second)
