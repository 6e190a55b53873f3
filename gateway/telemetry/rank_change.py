"""How much a rerank changed the order, from ranks alone.

It tells nothing about quality: for that, somebody has to say which order is right.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence

COMPARED = 20
"""Results that are compared, from the first: what callers read, at a bounded cost."""


def displacement(ranks_before: Sequence[int]) -> float | None:
    """Tell which share of pairs among the first results the rerank turned round.

    Kendall's distance, normalised: 0 the order was kept, 1 it was reversed; Kendall's tau
    is 1 - 2 d. Not negative, so that a histogram can hold it.

    Args:
        ranks_before: Where each result stood before, in the order of the results.

    Returns:
        From 0 to 1; None for fewer than two results.

    """
    first = ranks_before[:COMPARED]
    count = len(first)
    if count < 2:  # noqa: PLR2004 - a pair takes two
        return None
    turned = 0
    seen: list[int] = []
    for place, rank in enumerate(first):
        turned += place - bisect_left(seen, rank)
        insort(seen, rank)
    return turned / (count * (count - 1) / 2)
