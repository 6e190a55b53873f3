"""Where documents are stored and found: every engine is a `Retriever`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.filter import Field, Filter, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Collection:
    """A set of documents that is searched together."""

    name: str
    fields: tuple[Field, ...]
    dimension: int
    """Of its vectors. 0: it has none."""
    embedder: str
    """Whose vectors these are. Empty: the callers bring them."""
    document_count: int
    version: int
    """Grows with every change, and with housekeeping; never shrinks."""
    created: datetime


@dataclass(frozen=True, slots=True)
class Shape:
    """What is fixed about a collection when it is created."""

    fields: tuple[Field, ...]
    dimension: int
    """Of its vectors. 0: it has none."""
    embedder: str
    """Whose vectors these are. Empty: the callers bring them."""


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """What is stored under an id."""

    id: str
    title: str
    text: str
    vector: "Vector | None"
    """None: the collection has none, or it was not asked for."""
    group_id: str = ""
    metadata: str = ""
    """Whatever the caller wants back, as text; the engine does not read it."""
    values: Mapping[str, Value] = field(default_factory=lambda: MappingProxyType({}))
    """Of the declared fields, by their names; those without a value are left out."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document on one list."""

    id: str
    score: float
    """BM25 (0 or more), or the cosine (-1 to 1)."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One ranked list, best first; equal scores in the order of the ids."""

    hits: tuple[Hit, ...] = ()
    failure: RetrieverError | None = None
    """Why it could not be searched. None: it was."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for.

    A leg is searched if it has what it needs: a text that is not blank, a vector.
    """

    text: str
    vector: "Vector | None"
    embedder: str
    """Who made the vector. Empty: the caller brought it."""
    candidates: int
    """Most hits per leg."""
    filter: Filter | None
    min_version: int
    """0: whatever there is."""
    deadline: float
    """In event-loop seconds: when `min_version` must be there at the latest."""


@dataclass(frozen=True, slots=True)
class Found:
    """Two ranked lists."""

    bm25: Leg | None
    """None: not searched."""
    vector: Leg | None
    version: int
    """A version that both lists see; they may see more."""


@dataclass(frozen=True, slots=True)
class Scored:
    """What each leg says about one document."""

    bm25: float
    """0: it has no word of the text."""
    cosine: float | None
    """None: no vector was asked with, or there is none to compare with."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a collection."""

    documents: tuple[Document, ...]
    after: str
    """What the next part is asked for with. Empty: this is the last."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a deletion did."""

    count: int
    version: int


class Retriever(Protocol):
    """Anything that stores documents and finds candidates.

    Every method but `open` and `close` raises `RetrieverError`s alone. What was answered
    is durable; the next call of this process sees it, other processes within 2 seconds.
    """

    async def open(self) -> None:
        """Get ready, or say why not; what is there is never changed by a failure."""

    async def close(self) -> None:
        """End what runs and give the store free; harmless when not open."""

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        """Make an empty collection, or raise `CollectionExists`."""

    async def shape(self, name: str) -> Shape:
        """Tell what is fixed about a collection, without counting anything."""

    async def collection(self, name: str) -> Collection:
        """Describe one collection."""

    async def collections(self) -> tuple[Collection, ...]:
        """Describe all, by name ascending."""

    async def delete_collection(self, name: str) -> None:
        """Remove a collection and its documents."""

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        """Store all of them or none, and give the version that has them.

        Args:
            collection: Its name.
            documents: With different ids; each replaces the one stored under its id.
            embedder: Who made the vectors. Empty: the callers brought them.

        """

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Remove documents; ids that are not stored are skipped."""

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents in the order of the ids, without those that are not stored."""

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Bring a part of all documents, in an order of the engine's own.

        What is stored from the first part to the last is in exactly one of them; what is
        stored, replaced or removed meanwhile may be missing, or be as it was before.

        Args:
            collection: Its name.
            after: That of the part before. Empty: the first is asked for.
            count: Most documents.
            with_vectors: Whether the documents have their vectors.

        """

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, "Vector"]:
        """Bring the vectors of those of the ids that are stored and have one.

        It costs least for what a search of this process has just found.
        """

    async def search(self, collection: str, query: Query) -> Found:
        """Find candidates; a leg that fails says so and leaves the other one standing."""

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: "Vector | None"
    ) -> Mapping[str, Scored]:
        """Look up what a leg left out, for those of the ids that are stored."""
