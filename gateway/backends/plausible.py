"""Refuse an answer whose numbers cannot be what they are said to be."""

import math

from gateway.backends.dialect import Decoded
from gateway.backends.errors import Malformed, WrongScale
from gateway.ranking.normalize import Scale, out_of_range


def plausible(decoded: Decoded, *, backend: str, scale: Scale) -> Decoded:
    """Give the answer back.

    Args:
        decoded: What the vendor said.
        backend: What the backend is called in errors.
        scale: What its numbers are to be.

    Raises:
        Malformed: No document was scored.
        WrongScale: A number that the scale cannot have.

    """
    scores = [score for score in decoded.raw if score is not None]
    if not scores:
        raise Malformed(backend, "no document was scored")
    # All are within a range if the least and the greatest are.
    if not all(map(math.isfinite, scores)) or any(
        out_of_range(score, scale) for score in (min(scores), max(scores))
    ):
        detail = f"a score that is no {scale}: is its scale configured right?"
        raise WrongScale(backend, detail)
    return decoded
