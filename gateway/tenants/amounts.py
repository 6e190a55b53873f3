"""What calls cost, in whole numbers: units of a vendor, and money.

Search units are counted in thousandths and money in billionths, so that sums are exact in
SQLite and in Redis as well. Prices have at most three decimals, and are of a thousand or a
million things, so that the price of a thing is a whole number of billionths.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final, NamedTuple

from gateway.backends.scorer import Usage

_PER_SEARCH_UNIT = 1000
_PER_CURRENCY_UNIT = 10**9

# Of one call. A vendor that says more says nonsense, and sums must fit 64 bits.
_MOST_SEARCH_UNITS = 1e5
_MOST_TOKENS = 10**8

_THOUSAND = 1000
_MILLION = 10**6


class Amount(NamedTuple):
    """What one call costs, or many."""

    calls: int = 0
    search_units: int = 0
    """In thousandths."""
    tokens: int = 0
    cost: int = 0
    """In billionths of the currency."""
    unpriced: int = 0
    """How many of the calls have no price, and so no part in the cost."""

    def plus(self, other: "Amount") -> "Amount":
        """Add two up."""
        return Amount(*(one + two for one, two in zip(self, other, strict=True)))

    def minus(self, other: "Amount") -> "Amount":
        """Take one from another, which is not less."""
        return Amount(
            *(max(one - two, 0) for one, two in zip(self, other, strict=True))
        )


NOTHING: Final = Amount()


def total(amounts: Iterable[Amount]) -> Amount:
    """Add any number of them up."""
    return Amount(*map(sum, zip(NOTHING, *amounts, strict=True)))


@dataclass(frozen=True, slots=True)
class Price:
    """What one backend costs; unset parts cost nothing, and where all are, nothing is known."""

    per_1000_search_units: Decimal | None = None
    per_million_tokens: Decimal | None = None
    per_1000_calls: Decimal | None = None

    @property
    def is_set(self) -> bool:
        """Whether it is known what a call costs, be it nothing."""
        parts = (
            self.per_1000_search_units,
            self.per_million_tokens,
            self.per_1000_calls,
        )
        return any(each is not None for each in parts)

    def of(self, usage: Usage, *, calls: int = 1) -> Amount:
        """Give what so many calls with this usage cost."""
        units = min(usage.search_units, _MOST_SEARCH_UNITS)
        search_units = thousandths(Decimal(str(units)))
        tokens = min(usage.tokens, _MOST_TOKENS)
        if not self.is_set:
            return Amount(calls, search_units, tokens, 0, calls)
        cost = (
            search_units
            * _each(self.per_1000_search_units, _THOUSAND * _PER_SEARCH_UNIT)
            + tokens * _each(self.per_million_tokens, _MILLION)
            + calls * _each(self.per_1000_calls, _THOUSAND)
        )
        return Amount(calls, search_units, tokens, cost)


def thousandths(search_units: Decimal) -> int:
    """Give search units as they are counted; a rest is one more."""
    return _whole(search_units * _PER_SEARCH_UNIT)


def billionths(money: Decimal) -> int:
    """Give money as it is counted; a rest is one more."""
    return _whole(money * _PER_CURRENCY_UNIT)


def search_units_in_words(amount: int) -> str:
    """Write thousandths as units, such as `12` or `0.5`."""
    return _in_words(Decimal(amount) / _PER_SEARCH_UNIT)


def money_in_words(cost: int, *, places: int = 2) -> str:
    """Write billionths as money, exactly, with at least so many decimals."""
    money = Decimal(cost) / _PER_CURRENCY_UNIT
    least = Decimal(1).scaleb(-places)
    if money == money.quantize(least):
        money = money.quantize(least)
        return f"{money:f}"
    return _in_words(money)


def _in_words(number: Decimal) -> str:
    words = f"{number:f}"
    return words.rstrip("0").rstrip(".") if "." in words else words


def _each(price: Decimal | None, things: int) -> int:
    """Give the price of one thing, in billionths, from that of so many."""
    return 0 if price is None else _whole(price * _PER_CURRENCY_UNIT / things)


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_CEILING))
