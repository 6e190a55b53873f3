"""The use case behind DocumentService: collections, and documents into them.

A batch is prepared first, which may take an embedder's time, and stored then: whoever has
many prepares one while the one before is being stored.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.engine_errors import told_to_caller
from gateway.errors import (
    CollectionAlreadyThere,
    DocumentNotFound,
    RetrievalUnavailable,
)
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.errors import (
    DimensionMismatch,
    EmbedderMismatch,
    InvalidDocument,
    UnknownCollection,
)
from gateway.retrieval.filter import Field
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Page,
    Retriever,
    Shape,
)
from gateway.searching.contract import DEFAULT_COLLECTION
from gateway.storing.batches import Batch, Incoming, Prepared, sort_out
from gateway.storing.vectors import Computed, Computing

# Of one page: clients of gRPC take 4 MiB if nobody tells them otherwise.
_MOST_BYTES = 3 * 2**20


@dataclass(frozen=True, slots=True)
class StoringLimits:
    """How much of everything is stored."""

    max_document_bytes: int
    """Of one title and text together."""


class Storing:
    """Stores documents, with the vectors that they need.

    Args:
        retriever: Where they are stored; open.
        embedder: Computes the vectors that documents do not bring. None: there is none.
        limits: What is refused.
        embed_timeout_s: How long it may take to compute the vectors of one batch.

    """

    def __init__(
        self,
        *,
        retriever: Retriever,
        embedder: Embedder | None,
        limits: StoringLimits,
        embed_timeout_s: float,
    ) -> None:
        self._retriever = retriever
        self._limits = limits
        self._computing = (
            None
            if embedder is None
            else Computing(embedder=embedder, timeout_s=embed_timeout_s)
        )

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int
    ) -> Collection:
        """Make an empty collection.

        Args:
            name: Checked already.
            fields: Likewise.
            dimension: Of its vectors. 0: the embedder's, or none where there is none. If
                it is another than the embedder's, the callers bring the vectors.

        Raises:
            CollectionAlreadyThere: There is one of that name.
            RetrievalUnavailable: The engine, or the embedder, does not answer.

        """
        embedder = ""
        if self._computing is not None:
            space = await self._computing.space()
            if dimension in (0, space.dimension):
                embedder, dimension = space.name, space.dimension
        with told_to_caller(name):
            return await self._retriever.create_collection(
                name, fields=fields, dimension=dimension, embedder=embedder
            )

    async def collections(self) -> tuple[Collection, ...]:
        """Describe all, by name ascending."""
        with told_to_caller(""):
            return await self._retriever.collections()

    async def delete_collection(self, name: str) -> None:
        """Remove a collection and its documents."""
        with told_to_caller(name):
            await self._retriever.delete_collection(name)

    async def import_batch(
        self, collection: str, documents: Sequence[Incoming]
    ) -> Batch:
        """Prepare a batch and store it."""
        return await self.store(await self.prepare(collection, documents))

    async def prepare(self, collection: str, documents: Sequence[Incoming]) -> Prepared:
        """Check a batch and compute its vectors; nothing is stored yet.

        Raises:
            CollectionNotFound: There is no such collection. The default one is made.
            RetrievalUnavailable: The engine, or the embedder, does not answer.

        """
        with told_to_caller(collection):
            shape = await self._shape(collection)
        unembeddable = ""
        if any(each.document.embedding is None for each in documents):
            unembeddable = await self._unembeddable(shape)
        accepted, rejected = sort_out(
            documents,
            shape,
            max_bytes=self._limits.max_document_bytes,
            unembeddable=unembeddable,
        )
        computed = Computed({}, ())
        if self._computing is not None:
            computed = await self._computing.compute(accepted, shape)
        rejected += computed.rejected
        return Prepared(
            collection=collection,
            documents=tuple(
                replace(each.document, vector=computed.vectors[each.index])
                if each.to_embed
                else each.document
                for each in accepted
                if not each.to_embed or each.index in computed.vectors
            ),
            embedder=shape.embedder if computed.vectors else "",
            rejected=tuple(sorted(rejected, key=lambda each: each.index)),
        )

    async def store(self, prepared: Prepared) -> Batch:
        """Write a batch; what was answered is durable.

        Raises:
            CollectionNotFound: It was removed in the meantime.
            RetrievalUnavailable: The engine does not answer, or the collection was made
                anew and is another one now.

        """
        name = prepared.collection
        with told_to_caller(name):
            try:
                version = await self._retriever.upsert(
                    name, prepared.documents, embedder=prepared.embedder
                )
            except (DimensionMismatch, EmbedderMismatch, InvalidDocument) as error:
                # It fitted when it was prepared: once more, and it is checked anew.
                message = f"collection {name!r} was made anew in the meantime"
                raise RetrievalUnavailable(message, component="engine") from error
        return Batch(len(prepared.documents), prepared.rejected, version)

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Remove documents; ids that are not stored are skipped."""
        with told_to_caller(collection):
            return await self._retriever.delete(collection, tuple(dict.fromkeys(ids)))

    async def get(self, collection: str, name: str, *, with_vectors: bool) -> Document:
        """Bring one document.

        Raises:
            DocumentNotFound: The collection has none of that id.

        """
        with told_to_caller(collection):
            found = await self._retriever.get(
                collection, (name,), with_vectors=with_vectors
            )
        if not found:
            raise DocumentNotFound(collection, name)
        return found[0]

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Bring a part of a collection, of a size that a message can have.

        Raises:
            InvalidRequest: No part begins there.

        """
        with told_to_caller(collection):
            page = await self._retriever.page(
                collection, after=after, count=count, with_vectors=with_vectors
            )
            if (fitting := _fitting(page.documents)) < len(page.documents):
                # Only the engine knows where the next part begins.
                page = await self._retriever.page(
                    collection, after=after, count=fitting, with_vectors=with_vectors
                )
        return page

    async def _shape(self, collection: str) -> Shape:
        try:
            return await self._retriever.shape(collection)
        except UnknownCollection:
            if collection != DEFAULT_COLLECTION:
                raise
        # Another import may make it in the meantime.
        with suppress(CollectionAlreadyThere):
            await self.create_collection(collection, fields=(), dimension=0)
        return await self._retriever.shape(collection)

    async def _unembeddable(self, shape: Shape) -> str:
        """Say why no vector can be computed for a collection; empty: one can."""
        if not shape.dimension:
            return ""
        if not shape.embedder:
            return "the collection's are brought by the callers"
        if self._computing is None:
            return "the server has no embedder"
        if not await self._computing.serves(shape):
            return "the collection's are of another embedder than the server's"
        return ""


def _fitting(documents: Sequence[Document]) -> int:
    """Count the documents from the first on that one message takes; at least one."""
    size = 0
    for place, each in enumerate(documents):
        size += len(each.title.encode()) + len(each.text.encode())
        size += len(each.metadata.encode())
        size += 0 if each.vector is None else each.vector.nbytes
        if size > _MOST_BYTES and place:
            return place
    return len(documents)
