"""Compare stored vectors with one that is asked with."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]


def cosines(stored: Mapping[str, Vector], asked: Vector) -> dict[str, float | None]:
    """Give the cosine of each; None: it has no direction."""
    if not stored:
        return {}
    rows = np.stack(list(stored.values())).astype(np.float64)
    lengths = np.linalg.norm(rows, axis=1) * float(np.linalg.norm(asked))
    dots = rows @ asked
    return {
        name: float(dot / length) if length else None
        for name, dot, length in zip(stored, dots, lengths, strict=True)
    }
