"""Make vectors comparable: single precision, length 1."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.backends.reading import ContractBrokenError

# A length this close to 1 is the rounding of a vendor that normalises: left alone, a
# vector stays what the vendor computed.
_IS_UNIT = 1e-6


def unit_vectors(
    rows: Sequence[Sequence[float]] | Sequence[NDArray[np.float32]],
) -> NDArray[np.float32]:
    """Scale every row to length 1 where it is not.

    What a row becomes does not depend on the others.

    Args:
        rows: At least one; finite, all of one length.

    Raises:
        ContractBrokenError: A row of zeros, which points nowhere: its cosine to
            everything is undefined, and an index would store it all the same.

    """
    matrix = np.array(rows, dtype=np.float64)
    largest = np.abs(matrix).max(axis=1, keepdims=True)
    if not largest.all():
        message = f"vector {int(np.argmin(largest))} is all zeros"
        raise ContractBrokenError(message)
    # In two steps: the square of 1e200 is infinite.
    scaled = matrix / largest
    norms = np.linalg.norm(scaled, axis=1, keepdims=True)
    with np.errstate(over="ignore"):
        is_unit = np.abs(norms * largest - 1.0) < _IS_UNIT
    return np.where(is_unit, matrix, scaled / norms).astype(np.float32)
