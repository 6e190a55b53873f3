"""Give an embedder only so long to answer."""

from collections.abc import Sequence

from gateway.backends.in_time import in_time
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose


class Timeout:
    """Ends an attempt at the backend's own limit, or when the caller's time is over.

    Under a `Batch` the limit is for each batch, under the caller's deadline for all.

    Args:
        embedder: The backend itself: nothing but its slowness is measured.
        backend: Its name, for errors.
        attempt_s: The backend's own limit for one attempt.
        fair_s: An attempt that was ended sooner than this blames nobody.

    """

    def __init__(
        self, embedder: Embedder, *, backend: str, attempt_s: float, fair_s: float
    ) -> None:
        self._embedder = embedder
        self._backend = backend
        self._attempt_s = attempt_s
        self._fair_s = fair_s

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Ask, and raise `TimedOut` or `OutOfTime` when it takes too long."""
        return await in_time(
            lambda: self._embedder.embed(texts, purpose=purpose, deadline=deadline),
            deadline=deadline,
            backend=self._backend,
            attempt_s=self._attempt_s,
            fair_s=self._fair_s,
        )
