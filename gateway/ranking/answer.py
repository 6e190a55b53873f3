"""From one number per document to the order that a caller gets.

Scored documents come first, by their raw number; all others stand below them in the
order received. Nothing is lost here except by a bound that the caller set.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gateway.ranking.normalize import Scale, normalize


@dataclass(frozen=True, slots=True)
class Placed:
    """One document in its final place."""

    index: int
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
    scored = [(index, number) for index, number in enumerate(raw) if number is not None]
    scored.sort(key=lambda each: -each[1])  # a stable sort keeps ties as they were
    placed = [
        Placed(
            index=index,
            rank=rank,
            raw_score=number,
            rerank_score=normalize(number, scale) if scale else None,
        )
        for rank, (index, number) in enumerate(scored, start=1)
    ]
    unscored = [index for index, number in enumerate(raw) if number is None]
    return placed + [
        Placed(index=index, rank=rank)
        for rank, index in enumerate(unscored, start=len(placed) + 1)
    ]


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
    return [replace(each, rank=rank) for rank, each in enumerate(placed, start=1)]
