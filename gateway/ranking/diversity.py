"""Put unlike documents beside each other, instead of one document five times."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Marginal:
    """What a document added when MMR chose it."""

    score: float
    """λ * relevance - (1 - λ) * penalty: from λ - 1 to λ, so it may be negative."""
    relevance: float
    """0..1: the best of all candidates has 1, the worst 0; all 1 if they are equal."""
    penalty: float
    """0..1: the greatest cosine with a document chosen before; 0 without a vector."""


@dataclass(frozen=True, slots=True)
class Diversified:
    """One document in its new place."""

    index: int
    """Place in what was given, from 0."""
    marginal: Marginal | None
    """None: not chosen; it stands below those that were, in the order before."""


def mmr(
    relevance: Sequence[float],
    vectors: Sequence[Sequence[float] | NDArray[np.floating[Any]] | None],
    *,
    relevance_weight: float,
    pool: int,
) -> list[Diversified]:
    """Choose documents one by one, each for its relevance less its likeness to them.

    Relevance is scaled to 0..1 first: unscaled, the 0.016 to 0.033 of reciprocal ranks
    are nothing beside a cosine. Among equals the more relevant one comes first, then
    the one that stood higher. The same input gives the same output, to the last bit.
    Nothing that was given is changed or kept.

    It takes about one millisecond to order 100 candidates of 384 dimensions, and grows
    with candidates times chosen.

    Args:
        relevance: A finite number for each document, higher being better.
        vectors: Likewise, of any length but of the same dimension and finite; None or
            zeros: like no other document.
        relevance_weight: λ, 0..1. 1: the order of relevance; 0: diversity only, after
            the most relevant document.
        pool: How many are chosen, 0 or more; if there are fewer, all.

    Returns:
        Every document once, the chosen ones first.

    Raises:
        ValueError: There are not as many vectors as numbers, or their dimensions differ.

    """
    if len(relevance) != len(vectors):
        message = f"{len(vectors)} vectors for {len(relevance)} documents"
        raise ValueError(message)
    # Most relevant first, so that of equal marginals the first is the one to take.
    order = sorted(range(len(relevance)), key=lambda index: -relevance[index])
    scaled = _scaled([relevance[index] for index in order])
    units = _units([vectors[index] for index in order])
    gain = relevance_weight * scaled
    penalties = np.zeros(len(order))
    chosen: dict[int, Marginal] = {}
    for _ in range(min(pool, len(order))):
        marginals = gain - (1.0 - relevance_weight) * penalties
        best = int(marginals.argmax())
        chosen[order[best]] = Marginal(
            score=float(marginals[best]),
            relevance=float(scaled[best]),
            penalty=float(penalties[best]),
        )
        gain[best] = -np.inf
        # Only the newcomer can raise a penalty. Not a matrix product, whose last bits
        # depend on a document's place; the bound is for cosines that round above 1.
        cosines = np.vecdot(units, units[best])
        np.maximum(penalties, np.minimum(cosines, 1.0), out=penalties)
    placed = [Diversified(index, marginal) for index, marginal in chosen.items()]
    below = [index for index in range(len(order)) if index not in chosen]
    return placed + [Diversified(index, None) for index in below]


def _scaled(relevance: Sequence[float]) -> NDArray[np.float64]:
    # Halves, since the distance of two finite numbers may be infinite.
    numbers = np.array(relevance, dtype=np.float64) / 2.0
    span = np.ptp(numbers) if len(numbers) else 0.0
    return (numbers - numbers.min()) / span if span else np.ones(len(numbers))


def _units(
    vectors: Sequence[Sequence[float] | NDArray[np.floating[Any]] | None],
) -> NDArray[np.float64]:
    """Scale each vector to length 1; those without a direction become zeros."""
    known = [place for place, vector in enumerate(vectors) if vector is not None]
    matrix = np.array([vectors[place] for place in known], dtype=np.float64)
    if not matrix.size:
        return np.zeros((len(vectors), 1))
    # In two steps: the square of 1e200 is infinite.
    matrix /= _or_one(np.abs(matrix).max(axis=1, keepdims=True))
    matrix /= _or_one(np.sqrt(np.vecdot(matrix, matrix))[:, np.newaxis])
    units = np.zeros((len(vectors), matrix.shape[1]))
    units[known] = matrix
    return units


def _or_one(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(lengths, lengths, 1.0)
