"""Let every call to an embedder be watched: how long it took and how it ended."""

import asyncio
from collections.abc import Sequence

from gateway.backends.errors import Attempt, BackendError, FailureReason
from gateway.observing import Observer
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose


class Record:
    """Reports each call.

    Args:
        embedder: Whose calls are watched.
        backend: Its name.
        remote: It runs in another process.
        observer: Watches each call.

    """

    def __init__(
        self, embedder: Embedder, *, backend: str, remote: bool, observer: Observer
    ) -> None:
        self._embedder = embedder
        self._backend = backend
        self._remote = remote
        self._observer = observer

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Ask and report."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        with self._observer.attempt(
            backend=self._backend,
            remote=self._remote,
            document_count=len(texts),
            work="embed",
        ) as tell:
            try:
                embeddings = await self._embedder.embed(
                    texts, purpose=purpose, deadline=deadline
                )
            except BackendError as error:
                tell(self._attempt(error.reason, "", loop.time() - began, len(texts)))
                raise
            took_s = loop.time() - began
            tell(self._attempt(None, embeddings.model, took_s, len(texts)))
            return embeddings

    def _attempt(
        self, failure: FailureReason | None, model: str, duration_s: float, count: int
    ) -> Attempt:
        return Attempt(
            backend=self._backend,
            model=model,
            failure=failure,
            duration_s=duration_s,
            document_count=count,
        )
