"""Values as short lists of whole numbers that compare as the values do.

Distributed engines have their numbers in doubles: Qdrant compares ranges in double
precision, has none of strings, and rounds the last digit of the doubles that it stores;
what is sent to Weaviate is JSON. Each number of a list is exact there, so that one list
comes before another exactly if its value does.
"""

import struct
from collections.abc import Sequence

_CHUNK_BYTES = 6
# One more than there are bytes: 0 is where a text ends. 257^6 is below 2^53.
_BASE = 257
_SIGN = 1 << 63
_HALF = 1 << 32

LARGEST_EXACT = 2**53
"""Whole numbers nearer to zero than this compare exactly as they are."""


def of_text(text: str) -> list[int]:
    """Give a text's: by code point, which is the order of UTF-8, too.

    The last number always has the end in it, so that none is a beginning of another one.
    """
    data = text.encode()
    found = []
    for start in range(0, len(data) + 1, _CHUNK_BYTES):
        number = 0
        for place in range(start, start + _CHUNK_BYTES):
            number = number * _BASE + (data[place] + 1 if place < len(data) else 0)
        found.append(number)
    return found


def of_whole(value: int) -> list[int]:
    """Give those of a number of 64 bits."""
    return _halves(value + _SIGN)


def whole(numbers: Sequence[int]) -> int:
    """Give the number back: the opposite of `of_whole`."""
    high, low = numbers
    return high * _HALF + low - _SIGN


def of_double(value: float) -> list[int]:
    """Give a finite number's; the two zeros are one."""
    (bits,) = struct.unpack(">Q", struct.pack(">d", value + 0.0))
    return _halves(bits ^ (2 * _SIGN - 1) if bits & _SIGN else bits | _SIGN)


def double(numbers: Sequence[int]) -> float:
    """Give the number back: the opposite of `of_double`."""
    high, low = numbers
    bits = high * _HALF + low
    bits = bits ^ _SIGN if bits & _SIGN else bits ^ (2 * _SIGN - 1)
    (value,) = struct.unpack(">d", struct.pack(">Q", bits))
    return float(value)


def _halves(bits: int) -> list[int]:
    return [bits // _HALF, bits % _HALF]
