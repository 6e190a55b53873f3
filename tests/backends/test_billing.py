"""What calls will probably cost, in the unit of their vendors."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.billing import CALLS, SEARCH_UNITS, TOKENS, tokens_in
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.backends.scorer import Usage


@pytest.mark.parametrize(
    ("count", "length", "units"),
    [
        (1, 10, 1),
        (100, 10, 1),
        (101, 10, 2),
        (1000, 10, 10),
        (50, 2000, 1),
        (51, 2000, 2),
    ],
)
def test_a_hundred_documents_are_a_unit_and_long_ones_are_several(
    count: int, length: int, units: int
) -> None:
    asked = SEARCH_UNITS.estimate("q", ["x" * length] * count)
    assert asked == Usage(search_units=units)


def test_what_is_cut_costs_no_more_than_what_is_read() -> None:
    assert SEARCH_UNITS.estimate("q", ["x" * 10**6] * 10) == Usage(search_units=1.0)


def test_tokens_are_those_of_the_query_with_each_document() -> None:
    assert TOKENS.estimate("abc", ["abc", "abcd", "é"]) == Usage(tokens=2 + 3 + 2)


def test_who_counts_nothing_but_calls_says_nothing() -> None:
    assert CALLS.estimate("q", ["x"]) == Usage()


@given(st.text(max_size=200))
def test_a_third_of_the_bytes_is_an_estimate_of_tokens(text: str) -> None:
    size = len(text.encode())
    assert tokens_in(text) * 3 >= size > (tokens_in(text) - 1) * 3


def test_every_vendor_that_says_what_it_bills_is_estimated_in_that_unit() -> None:
    units = {
        name: dialect.billing.unit
        for name, dialect in {**DIALECTS, **GRPC_DIALECTS}.items()
    }
    assert {name for name, unit in units.items() if unit == "search_units"} == {
        "cohere-v1",
        "cohere-v2",
        "pinecone",
    }
    assert {name for name, unit in units.items() if unit == "tokens"} == {
        *("jina", "llamacpp", "tei", "tei-grpc", "vllm", "voyage"),
    }
