"""From one number per document to the order that a caller gets.

Scored documents come first, by their raw number; all others stand below them in the
order received. Nothing is lost here except by a bound that the caller set.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import count, repeat
from operator import itemgetter
from typing import NamedTuple

from gateway.ranking.normalize import Scale, normalize_all
from gateway.rows import rows

_BY_NUMBER = itemgetter(1)


class Placed(NamedTuple):
    """One document in its final place.

    A tuple: there are a hundred in an answer, and one is made in a third of the time.
    """

    index: int  # type: ignore[assignment]  # a tuple has one, which nobody asks
    """Place in the request, from 0."""
    rank: int
    """Place in the answer, from 1."""
    raw_score: float | None = None
    """As the model gave it; None: nobody scored this document."""
    rerank_score: float | None = None
    """The same on 0..1."""


def order(raw: Sequence[float | None], scale: Scale | None) -> list[Placed]:
    """Order documents by what a model said about them.

    Equal numbers keep the order received, so equal input gives equal output.

    Args:
        raw: One entry per document of the request; None: not scored.
        scale: What the numbers are; None only where there are none.

    """
    nothing: Iterable[None] = repeat(None)
    scored = [(index, number) for index, number in enumerate(raw) if number is not None]
    if not scored:
        return list(rows(Placed, range(len(raw)), count(1), nothing, nothing))
    # A stable sort keeps ties as they were, in reverse too.
    scored.sort(key=_BY_NUMBER, reverse=True)
    indexes, numbers = zip(*scored, strict=True)
    normalized = normalize_all(numbers, scale)
    placed = list(rows(Placed, indexes, count(1), numbers, normalized))
    if len(placed) == len(raw):
        return placed
    unscored = [index for index, number in enumerate(raw) if number is None]
    placed.extend(rows(Placed, unscored, count(len(placed) + 1), nothing, nothing))
    return placed


def at_least(placed: Sequence[Placed], min_score: float) -> list[Placed]:
    """Keep the documents whose rerank score reaches a threshold, and no unscored one."""
    return _ranked(
        [
            each
            for each in placed
            if each.rerank_score is not None and each.rerank_score >= min_score
        ]
    )


def at_most_per_group(
    placed: Sequence[Placed], groups: Sequence[str], most: int
) -> list[Placed]:
    """Keep the best documents of each group.

    Args:
        placed: In their order.
        groups: The group of each document of the request; empty: of none.
        most: How many of one group.

    """
    taken: Counter[str] = Counter()
    kept = []
    for each in placed:
        group = groups[each.index]
        taken[group] += 1
        if not group or taken[group] <= most:
            kept.append(each)
    return _ranked(kept)


def _ranked(placed: Sequence[Placed]) -> list[Placed]:
    """Number documents anew, after some were removed."""
    if not placed or placed[-1].rank == len(placed):
        return list(placed)  # only the last ones were, as by a threshold
    return [each._replace(rank=rank) for rank, each in enumerate(placed, start=1)]
