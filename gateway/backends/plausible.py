"""Refuse an answer whose numbers cannot be what they are said to be."""

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
    if all(score is None for score in decoded.raw):
        raise Malformed(backend, "no document was scored")
    if any(score is not None and out_of_range(score, scale) for score in decoded.raw):
        detail = f"a score that is no {scale}: is its scale configured right?"
        raise WrongScale(backend, detail)
    return decoded
