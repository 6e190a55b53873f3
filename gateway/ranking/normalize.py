"""What a model's numbers mean, and how they become scores from 0 to 1."""

import math
from collections.abc import Sequence
from enum import StrEnum


class Scale(StrEnum):
    """What one raw number of a model says.

    The scale is configuration, never guessed from the numbers: logits that happen to
    lie between 0 and 1 look like probabilities, and a guess would flip between requests.
    """

    LOGIT = "logit"
    """Log-odds of relevance, unbounded; 0 is even odds."""
    PROBABILITY = "probability"
    """From 0 to 1, as a sigmoid or a softmax left it."""
    COSINE = "cosine"
    """From -1 to 1."""
    RELATIVE = "relative"
    """Comparable only with the other documents of the same request: no threshold."""


# Half-precision models overshoot their range by a rounding error, not by more.
_TOLERANCE = 1e-6


def sigmoid(logit: float) -> float:
    """Map a logit to a probability, without overflow for any finite input."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    odds = math.exp(logit)
    return odds / (1.0 + odds)


def out_of_range(raw: float, scale: Scale) -> bool:
    """Tell whether a raw number cannot be of its scale, so the scale must be wrong."""
    match scale:
        case Scale.PROBABILITY:
            return not -_TOLERANCE <= raw <= 1.0 + _TOLERANCE
        case Scale.COSINE:
            return not -1.0 - _TOLERANCE <= raw <= 1.0 + _TOLERANCE
        case Scale.LOGIT | Scale.RELATIVE:  # pragma: no branch - there is no other
            return not math.isfinite(raw)


def normalize(raw: float, scale: Scale) -> float:
    """Map a raw number to 0..1, never reversing the order of two raw numbers.

    Logits and relative scores go through the sigmoid, a cosine is shifted and halved,
    a probability stays what it is. Distinct raw numbers may meet at 0.0 or 1.0 when
    they saturate, so orders are made from raw numbers.
    """
    match scale:
        case Scale.LOGIT | Scale.RELATIVE:
            return sigmoid(raw)
        case Scale.COSINE:
            return min(max((raw + 1.0) / 2.0, 0.0), 1.0)
        case Scale.PROBABILITY:  # pragma: no branch - there is no other
            return min(max(raw, 0.0), 1.0)


def normalize_all(raw: Sequence[float], scale: Scale | None) -> list[float]:
    """Map raw numbers of one model as `normalize` maps each, at a third of the cost.

    Args:
        raw: Any number of them.
        scale: Of all of them; None only where there are none.

    """
    if scale in _LOG_ODDS:
        # The same steps as in `sigmoid`: an answer must not depend on its size.
        exp = math.exp
        return [
            1.0 / (1.0 + exp(-each))
            if each >= 0
            else (odds := exp(each)) / (1.0 + odds)
            for each in raw
        ]
    return [normalize(each, scale) for each in raw] if scale else []


_LOG_ODDS = {Scale.LOGIT, Scale.RELATIVE}
