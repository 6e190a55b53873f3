"""The vectors of documents as their callers bring them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

# Beyond, the square of a length is no number of single precision, in which engines
# compute: a cosine would come out as infinite, or the document would never be found.
_SHORTEST = 1e-18
_LONGEST = 1e18


def document_vector(numbers: Sequence[float], *, dimension: int) -> "Vector":
    """Make an array of a vector that can be stored.

    Raises:
        ValueError: It cannot; the message says why, and is a part of a sentence.

    """
    # Here, since the base install comes without it.
    import numpy as np

    if len(numbers) != dimension:
        message = (
            f"its vector has dimension {len(numbers)}, the collection's {dimension}"
            if dimension
            else "it has a vector, and the collection has none"
        )
        raise ValueError(message)
    vector = np.array(numbers, dtype=np.float32)
    if not np.isfinite(vector).all():
        message = "its vector has a number that is not finite"
        raise ValueError(message)
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not _SHORTEST <= length <= _LONGEST:
        message = f"its vector has a length of {length:.1e}, and so no cosine"
        raise ValueError(message)
    return vector
