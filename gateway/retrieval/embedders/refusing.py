"""Stand in for an embedder that cannot be asked: it says why, whatever is asked."""

from collections.abc import Sequence

from gateway.backends.errors import Misconfigured
from gateway.retrieval.embedder import Embeddings, Purpose


class RefusingEmbedder:
    """Raises `Misconfigured` for every call.

    Args:
        name: What it is called in errors.
        problem: Why it cannot be asked.

    """

    def __init__(self, *, name: str, problem: str) -> None:
        self._name = name
        self.problem = problem
        """Why it cannot be asked."""

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Refuse."""
        del texts, purpose, deadline
        raise Misconfigured(self._name, self.problem)
