"""From texts to vectors: whoever does it is an `Embedder`, and so is what wraps one.

Importing this costs no numpy: the base install comes without it.
"""

import math
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from gateway.backends.scorer import Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What single precision, or a sum in another order, may move a length by.
_ROUNDING = 1e-3


class Purpose(StrEnum):
    """What a vector is for: some models embed a question unlike its answer."""

    QUERY = "QUERY"
    DOCUMENT = "DOCUMENT"


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """What one model said about every text of a call.

    Raises:
        ValueError: The vectors are no such array as `vectors` promises.

    """

    vectors: "NDArray[np.float32]"
    """[texts, dimension], in the order of the texts, each row finite and of length 1;
    becomes read-only."""
    model: str
    """The model as the backend reports it, else as configured, else empty. Vectors of
    two models must never be compared."""
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        """Refuse what has no cosine."""
        vectors = self.vectors
        if vectors.ndim != 2 or not vectors.size or vectors.dtype != "float32":  # noqa: PLR2004 - rows and columns
            message = f"vectors are {vectors.dtype} of shape {vectors.shape}"
            raise ValueError(message)
        # NaN compares with nothing, so it is caught here too.
        furthest = float(abs((vectors * vectors).sum(axis=1) - 1.0).max())
        if math.isnan(furthest) or furthest > _ROUNDING:
            message = "a vector is not of length 1"
            raise ValueError(message)
        vectors.setflags(write=False)

    @property
    def space(self) -> str:
        """What the space of these vectors is called; never empty."""
        return self.model or "unnamed"

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""
        return int(self.vectors.shape[1])


@dataclass(frozen=True, slots=True)
class Asking:
    """What vectors are made for, as far as it matters to whoever pays for them."""

    labels: tuple[tuple[str, str], ...] = ()
    """Of the request, in the order of their names."""
    is_probe: bool = False
    """The gateway itself asks, whether it works."""


asking: ContextVar[Asking] = ContextVar("asking", default=Asking())  # noqa: B039 - it is frozen
"""What is asked for here."""


class Embedder(Protocol):
    """Anything that turns texts into vectors."""

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Give one vector per text, in the order of the texts.

        Args:
            texts: At least one, none of them blank.
            purpose: What the vectors are for.
            deadline: When they must be there at the latest, in event-loop seconds; a
                `Timeout` watches it.

        Raises:
            ValueError: No text, or a blank one: a mistake of the caller, which would
                fail a vendor's whole batch.
            BackendError: No vectors, and why. Nothing else leaves an embedder, except
                cancellation.

        """


def refuse_blank(texts: Sequence[str]) -> None:
    """Raise `ValueError` where there is no text, or one without a visible character."""
    if not texts:
        message = "there is no text to embed"
        raise ValueError(message)
    for place, text in enumerate(texts):
        if not text.strip():
            message = f"text {place} is blank"
            raise ValueError(message)
