"""BM25 against numbers worked out by hand."""

import math
from collections.abc import Mapping
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ranking.bm25 import bm25

term_counts = st.dictionaries(
    st.sampled_from("abcdef"), st.integers(min_value=1, max_value=9)
)


def test_numbers_worked_out_by_hand() -> None:
    # Lengths 4, 2, 3: mean 3. k1 · (1 - b + b · length / mean) = 1.5, 0.9, 1.2.
    documents = [{"disk": 2, "fail": 1, "new": 1}, {"disk": 1, "red": 1}, {"cat": 3}]
    # idf(disk) = ln(1 + 1.5 / 2.5), idf(fail) = ln(1 + 2.5 / 1.5).
    disk, fail = math.log(1.6), math.log(8 / 3)

    scores = bm25({"disk": 1, "fail": 1}, documents)

    assert scores == pytest.approx(
        [disk * 2 / 3.5 + fail * 1 / 2.5, disk * 1 / 1.9, 0.0]
    )
    assert scores == pytest.approx([0.660906, 0.247370, 0.0], abs=1e-6)


def test_a_term_that_occurs_twice_in_the_query_counts_twice() -> None:
    documents = [{"disk": 1}, {"cat": 1}]

    once = bm25({"disk": 1}, documents)
    twice = bm25({"disk": 2}, documents)

    assert twice == [2 * once[0], 0.0]


def test_a_term_that_every_document_has_still_counts_a_little() -> None:
    assert bm25({"disk": 1}, [{"disk": 1}, {"disk": 5}])[1] > 0


@pytest.mark.parametrize("documents", [[], [{}], [{}, {}]])
def test_nothing_to_find_anything_in(documents: list[Mapping[str, int]]) -> None:
    assert bm25({"disk": 1}, documents) == [0.0] * len(documents)


def test_an_empty_query_finds_nothing() -> None:
    assert bm25({}, [{"disk": 1}]) == [0.0]


@given(term_counts, st.lists(term_counts, max_size=6), st.randoms())
def test_the_places_of_the_documents_do_not_matter(
    query: dict[str, int],
    documents: list[dict[str, int]],
    random: Random,
) -> None:
    order = list(range(len(documents)))
    random.shuffle(order)

    scores = bm25(query, documents)

    assert bm25(query, [documents[place] for place in order]) == [
        scores[place] for place in order
    ]
