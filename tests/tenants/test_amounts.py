"""Money and units in whole numbers: sums are exact."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.scorer import Usage
from gateway.tenants.amounts import (
    Amount,
    Price,
    billionths,
    money_in_words,
    search_units_in_words,
    total,
)

prices = st.decimals(0, 100_000, places=3)


@given(prices, prices, prices, st.integers(0, 10**5), st.integers(0, 10**8))
def test_a_call_costs_exactly_what_its_parts_cost(
    per_1000_search_units: Decimal,
    per_million_tokens: Decimal,
    per_1000_calls: Decimal,
    search_units: int,
    tokens: int,
) -> None:
    price = Price(per_1000_search_units, per_million_tokens, per_1000_calls)
    amount = price.of(Usage(search_units=float(search_units), tokens=tokens))
    exactly = (
        Fraction(per_1000_search_units) * search_units / 1000
        + Fraction(per_million_tokens) * tokens / 10**6
        + Fraction(per_1000_calls) / 1000
    )
    assert Fraction(amount.cost, 10**9) == exactly
    assert amount.unpriced == 0


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_sums_of_calls_are_the_cost_of_the_sum(tokens: list[int]) -> None:
    price = Price(per_million_tokens=Decimal("0.05"))
    one_by_one = total(price.of(Usage(tokens=each)) for each in tokens)
    at_once = price.of(Usage(tokens=min(sum(tokens), 10**8)), calls=len(tokens))
    assert one_by_one == at_once


def test_what_has_no_price_is_unpriced_and_what_is_free_is_not() -> None:
    assert Price().of(Usage(tokens=7)) == Amount(1, 0, 7, 0, 1)
    free = Price(per_1000_calls=Decimal(0))
    assert free.of(Usage(tokens=7)) == Amount(1, 0, 7, 0, 0)


def test_parts_of_a_search_unit_are_counted_and_a_rest_is_one_more() -> None:
    assert Price().of(Usage(search_units=0.25)).search_units == 250
    assert Price().of(Usage(search_units=0.0001)).search_units == 1


def test_nonsense_of_a_vendor_stays_within_what_can_be_written() -> None:
    price = Price(Decimal(100_000), Decimal(100_000), Decimal(100_000))
    amount = price.of(Usage(search_units=1e300, tokens=10**300))
    assert max(amount) < 2**63


def test_amounts_add_up_and_are_taken_away() -> None:
    one, two = Amount(1, 1000, 5, 7, 0), Amount(2, 500, 1, 9, 2)
    assert one.plus(two) == Amount(3, 1500, 6, 16, 2) == total([one, two])
    assert two.minus(one) == Amount(1, 0, 0, 2, 2)
    assert total([]) == Amount()


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        (0, "0.00"),
        (5 * 10**9, "5.00"),
        (1_500_000_000, "1.50"),
        (1, "0.000000001"),
        (6_000_000, "0.006"),
        (12_345_678_900_000_000, "12345678.90"),
    ],
)
def test_money_is_written_exactly(cost: int, words: str) -> None:
    assert money_in_words(cost) == words
    assert billionths(Decimal(words)) == cost


def test_search_units_are_written_exactly() -> None:
    assert [search_units_in_words(each) for each in (0, 1000, 12_500, 100_000)] == [
        "0",
        "1",
        "12.5",
        "100",
    ]
