"""The query's vector as a caller brought it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector


def brought_vector(numbers: Sequence[float]) -> "Vector":
    """Make an array of finite numbers.

    Raises:
        ValueError: It is all zeros, and so has a cosine with nothing.

    """
    import numpy as np

    vector = np.array(numbers, dtype=np.float32)
    if not vector.any():
        message = "must not be all zeros"
        raise ValueError(message)
    return vector
