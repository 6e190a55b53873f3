"""Make numbers of different kinds addable, so that several judges can become one."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FusionTerm:
    """What one leg contributed to one document's fused score: a summand."""

    value: float
    """By ranks: more than 0. By z-scores: any finite number, 0 for the average."""
    weight: float
    """Of the leg; more than 0."""
    mean: float | None = None
    """Of the leg's scores over all candidates; None: fused by ranks."""
    deviation: float | None = None
    """Their standard deviation, 0 or more; None: fused by ranks."""


@dataclass(frozen=True, slots=True)
class Fused:
    """One document in the order of several legs together."""

    id: str
    score: float
    """The sum of the terms, exact but for one rounding at its end."""
    terms: tuple[FusionTerm | None, ...]
    """One for each leg, in their order; None: that leg contributed nothing."""


def rrf(
    legs: Sequence[Sequence[str]],
    *,
    k: int,
    weights: Sequence[float],
    min_rrf_score: float | None,
) -> list[Fused]:
    """Join lists by reciprocal ranks: the sum of weight / (k + rank) over the lists.

    Exact ties are many: what one list alone has at some rank equals what the other one
    alone has there. The document with the better rank in the first leg precedes, where
    not to be found is the worst rank; then the second leg decides, and so on; then the
    id. So the legs' order matters, but only for ties.

    Measured by nDCG@10 with both legs' weights 1: the full-text leg first is 0.007 better
    on SciFact (1109 queries), the vector leg first 0.009 on BoolQ (800) and 0.004, which
    may be chance, on Cranfield (225).

    Args:
        legs: The documents that each leg found, best first, each once.
        k: 1 or more; the greater, the less the first ranks stand out.
        weights: One for each leg, finite, 0 or more. 0 switches a leg off: what it
            alone found is not in the answer.
        min_rrf_score: Documents with a lower score are dropped, those with exactly this
            one are not; None: no bound.

    Raises:
        ValueError: A leg names a document twice, which would shift all below it, or
            there are not as many weights as legs.

    """
    return [
        each
        for each in _join(
            _reciprocals(leg, k, weight)
            for leg, weight in zip(legs, weights, strict=True)
        )
        if min_rrf_score is None or each.score >= min_rrf_score
    ]


def zscore_fusion(
    legs: Sequence[Mapping[str, float | None]], *, weights: Sequence[float]
) -> list[Fused]:
    """Join scores by the sum of weight * (score - mean) / deviation over the legs.

    Mean and deviation are those of a leg over all candidates, so the score of a
    candidate that a leg did not bring has to be looked up: taken for the mean it would
    cost a point of nDCG@10. None is for what cannot be known, such as the cosine of a
    document without a vector; it contributes nothing and counts for no mean.

    A leg whose scores are all equal says nothing: its terms are 0. Exact ties are
    broken as in `rrf`, by the terms in the order of the legs, then by the id.

    Args:
        legs: By leg, the score of every candidate, higher being better. All legs have
            the same candidates; their order does not matter, to the last bit.
        weights: One for each leg, finite, 0 or more. 0 switches a leg off; its
            candidates stay.

    Raises:
        ValueError: The legs have different candidates, or there are not as many
            weights as legs.

    """
    if any(leg.keys() != legs[0].keys() for leg in legs):
        message = "the legs score different candidates"
        raise ValueError(message)
    return _join(
        _distances(leg, weight) for leg, weight in zip(legs, weights, strict=True)
    )


def zscores(values: Sequence[float]) -> list[float]:
    """Express every value as its distance from the mean, in standard deviations.

    Equal values get equal z-scores, and the order of the values does not matter, to
    the last bit: the sums are exact. Values that are all equal say nothing about any
    of them, so each gets 0; so does a single one.
    """
    mean, deviation = _spread(values)
    if not deviation:
        return [0.0] * len(values)
    return [(value - mean) / deviation for value in values]


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Give mean and standard deviation; 0 and 0 of nothing.

    The deviation is 0 too where the values differ by less than a square can express.
    """
    if not values or min(values) == max(values):
        # The mean of three times 0.1 is not 0.1.
        return (values[0] if values else 0.0), 0.0
    mean = math.fsum(values) / len(values)
    variance = math.fsum((value - mean) ** 2 for value in values) / len(values)
    return mean, math.sqrt(variance)


def _reciprocals(
    leg: Sequence[str], k: int, weight: float
) -> dict[str, FusionTerm | None]:
    if len(set(leg)) < len(leg):
        message = "a leg names a document twice"
        raise ValueError(message)
    if not weight:
        return {}
    return {
        document: FusionTerm(value=weight / (k + rank), weight=weight)
        for rank, document in enumerate(leg, start=1)
    }


def _distances(
    leg: Mapping[str, float | None], weight: float
) -> dict[str, FusionTerm | None]:
    if not weight:
        return dict.fromkeys(leg)
    mean, deviation = _spread([score for score in leg.values() if score is not None])
    return {
        document: None
        if score is None
        else FusionTerm(
            value=weight * (score - mean) / deviation if deviation else 0.0,
            weight=weight,
            mean=mean,
            deviation=deviation,
        )
        for document, score in leg.items()
    }


def _join(legs: Iterable[Mapping[str, FusionTerm | None]]) -> list[Fused]:
    """Add up the terms of every document that some leg names, best first."""
    terms = list(legs)
    fused = []
    for document in {document for leg in terms for document in leg}:
        each = tuple(leg.get(document) for leg in terms)
        score = math.fsum(term.value for term in each if term)
        fused.append(Fused(id=document, score=score, terms=each))
    return sorted(fused, key=_place)


def _place(fused: Fused) -> tuple[float, list[float], str]:
    values = [-term.value if term else math.inf for term in fused.terms]
    return -fused.score, values, fused.id
