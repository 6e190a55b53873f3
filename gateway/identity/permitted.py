"""What a caller may not use is not there for it: the one place where that is enforced.

Routes and collections are looked up through these, by whatever way a call came: so one that
is not allowed is answered like one that there is not, and nobody learns what there is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from gateway.identity.caller import ANYBODY, STRANGER, Caller, caller
from gateway.retrieval.errors import UnknownCollection
from gateway.retrieval.filter import Field
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Found,
    Page,
    Query,
    Retriever,
    Scored,
    Shape,
)

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

R = TypeVar("R")


def _who() -> Caller:
    """Tell who calls; where identities are asked for, whoever has none may nothing."""
    known = caller.get()
    return STRANGER if known is ANYBODY else known


class PermittedRoutes(Mapping[str, R]):
    """Those routes that the caller may use.

    Args:
        routes: All, by name.

    """

    def __init__(self, routes: Mapping[str, R]) -> None:
        self._routes = routes

    def __getitem__(self, name: str) -> R:
        """Give a route."""
        if not _who().may_use(name):
            raise KeyError(name)
        return self._routes[name]

    def __iter__(self) -> Iterator[str]:
        """Name them."""
        who = _who()
        return (name for name in self._routes if who.may_use(name))

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)


class PermittedCollections:
    """Those collections that the caller may know of, as a `Retriever`.

    Args:
        retriever: Has all; whoever opened it closes it.

    """

    def __init__(self, retriever: Retriever) -> None:
        self._retriever = retriever

    async def open(self) -> None:
        """Do nothing: it is open."""

    async def close(self) -> None:
        """Do nothing: others may use it still."""

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        """Make one."""
        return await self._having(name).create_collection(
            name, fields=fields, dimension=dimension, embedder=embedder
        )

    async def shape(self, name: str) -> Shape:
        """Tell what is fixed about one."""
        return await self._having(name).shape(name)

    async def collection(self, name: str) -> Collection:
        """Describe one."""
        return await self._having(name).collection(name)

    async def collections(self) -> tuple[Collection, ...]:
        """Describe all."""
        found = await self._retriever.collections()
        who = _who()
        return tuple(each for each in found if who.may_see(each.name))

    async def delete_collection(self, name: str) -> None:
        """Remove one."""
        await self._having(name).delete_collection(name)

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        """Store documents."""
        return await self._having(collection).upsert(
            collection, documents, embedder=embedder
        )

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Remove documents."""
        return await self._having(collection).delete(collection, ids)

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents."""
        return await self._having(collection).get(
            collection, ids, with_vectors=with_vectors
        )

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Bring a part of all documents."""
        return await self._having(collection).page(
            collection, after=after, count=count, with_vectors=with_vectors
        )

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, "Vector"]:
        """Bring vectors."""
        return await self._having(collection).vectors(collection, ids)

    async def search(self, collection: str, query: Query) -> Found:
        """Find candidates."""
        return await self._having(collection).search(collection, query)

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: "Vector | None"
    ) -> Mapping[str, Scored]:
        """Look up what a leg left out."""
        return await self._having(collection).scores(
            collection, ids, text=text, vector=vector
        )

    def _having(self, collection: str) -> Retriever:
        """Give what has a collection, or say that there is none."""
        if not _who().may_see(collection):
            raise UnknownCollection(collection)
        return self._retriever
