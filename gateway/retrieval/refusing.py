"""Stand in for an engine that could not be opened: it says why, whatever is asked."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn

from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.filter import Field
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Found,
    Page,
    Query,
    Scored,
    Shape,
)

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector


class RefusingRetriever:
    """Raises the same error for every call.

    Args:
        error: Why there is no engine.

    """

    def __init__(self, error: RetrieverError) -> None:
        self._error = error

    async def open(self) -> None:
        """Do nothing."""

    async def close(self) -> None:
        """Do nothing."""

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        """Refuse."""
        del name, fields, dimension, embedder
        self._refuse()

    async def shape(self, name: str) -> Shape:
        """Refuse."""
        del name
        self._refuse()

    async def collection(self, name: str) -> Collection:
        """Refuse."""
        del name
        self._refuse()

    async def collections(self) -> tuple[Collection, ...]:
        """Refuse."""
        self._refuse()

    async def delete_collection(self, name: str) -> None:
        """Refuse."""
        del name
        self._refuse()

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        """Refuse."""
        del collection, documents, embedder
        self._refuse()

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Refuse."""
        del collection, ids
        self._refuse()

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Refuse."""
        del collection, ids, with_vectors
        self._refuse()

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Refuse."""
        del collection, after, count, with_vectors
        self._refuse()

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> "Mapping[str, Vector]":
        """Refuse."""
        del collection, ids
        self._refuse()

    async def search(self, collection: str, query: Query) -> Found:
        """Refuse."""
        del collection, query
        self._refuse()

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: "Vector | None"
    ) -> Mapping[str, Scored]:
        """Refuse."""
        del collection, ids, text, vector
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise self._error
