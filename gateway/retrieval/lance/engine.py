"""The `Retriever` over one folder: opens its collections, and keeps house in them.

The engine's package is loaded by `open`, since that takes seconds.
"""

import asyncio
import importlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.retrieval.errors import (
    DamagedStore,
    EngineFailed,
    MissingEngine,
    ReadOnly,
    UnknownCollection,
)
from gateway.retrieval.filter import Field
from gateway.retrieval.lance.failing import told
from gateway.retrieval.lance.folder import Lease, inspect, prepare
from gateway.retrieval.lance.house import House
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
    import numpy as np

    from gateway.retrieval.lance.shelf import Shelf
    from gateway.retrieval.lance.table import Table

    Vector = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

# How far behind a process that only reads may be: others see a write within 2 seconds.
_BEHIND_S = 0.5


class LanceRetriever:
    """A store in a folder, written by one process and read by any number.

    Args:
        folder: Where it is; made when there is none and it is opened for writing.
        writes: Whether this process writes. One does; it also keeps house.
        vector_index_from: From how many documents on vectors get an index; below, all
            of them are compared.
        tidy_every_s: How often it is looked whether indexes are behind.
        keep_versions_s: How long a superseded version is kept for those that read it.

    """

    def __init__(
        self,
        folder: Path,
        *,
        writes: bool,
        vector_index_from: int,
        tidy_every_s: float,
        keep_versions_s: float,
    ) -> None:
        self._folder = folder
        self._writes = writes
        self._house = House(
            vector_index_from=vector_index_from,
            every_s=tidy_every_s,
            keep_versions_s=keep_versions_s,
        )
        self._lease: Lease | None = None
        self._shelf: Shelf | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Load the engine, take the lease, open every collection."""
        shelf = await asyncio.to_thread(_load)
        if self._writes:
            # Not on a thread, which would take it even if this was cancelled.
            self._lease = prepare(self._folder)
        else:
            await asyncio.to_thread(inspect, self._folder)
        try:
            # A process that only reads is so far behind at most.
            behind_s = None if self._writes else _BEHIND_S
            self._shelf = await shelf.open(self._folder, behind_s=behind_s)
            await self._open_all()
        except BaseException:
            await self.close()
            raise
        if self._writes:
            self._keeping = asyncio.create_task(self._house.keep())

    async def close(self) -> None:
        """End the housekeeping and give the lease back."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.wait([self._keeping])
            self._keeping = None
        self._house.forget_all()
        if self._shelf is not None:
            self._shelf.close()
            self._shelf = None
        if self._lease is not None:
            self._lease.give_back()
            self._lease = None

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        """Make a table with its indexes."""
        self._must_write()
        table = await self._opened().make(
            name, fields=tuple(fields), dimension=dimension, embedder=embedder
        )
        await table.make_indexes()
        return await table.describe()

    async def shape(self, name: str) -> Shape:
        """Tell what is fixed about one."""
        return (await self._table(name)).shape

    async def collection(self, name: str) -> Collection:
        """Describe one."""
        return await (await self._table(name)).describe()

    async def collections(self) -> tuple[Collection, ...]:
        """Describe all of them."""
        found = []
        for name in await asyncio.to_thread(self._opened().names):
            try:
                found.append(await self.collection(name))
            except UnknownCollection:
                continue  # gone, or not quite there
        return tuple(found)

    async def delete_collection(self, name: str) -> None:
        """Take it out of sight at once, then remove its files."""
        self._must_write()
        table = await self._table(name)
        path = self._opened().path(name)
        gone = path.with_suffix(".gone")
        async with table.writing:
            self._house.forget(name)
            self._opened().forget(name)
            with told(name):
                # Done in one step, so that no crash leaves half a collection.
                path.rename(gone)
                await asyncio.to_thread(_remove, gone)

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        """Merge them by id in one commit."""
        self._must_write()
        table = await self._table(collection)
        version = await table.upsert(documents, embedder)
        self._house.wrote(collection, table, len(documents))
        return version

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Remove them in one commit."""
        self._must_write()
        table = await self._table(collection)
        deleted = await table.delete(ids)
        self._house.wrote(collection, table, 0)
        return deleted

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents by their ids."""
        table = await self._table(collection)
        return await table.reading.get(ids, with_vectors=with_vectors)

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Bring a part of them, by id ascending."""
        table = await self._table(collection)
        return await table.reading.page(after, count, with_vectors=with_vectors)

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, "Vector"]:
        """Bring vectors alone."""
        return await (await self._table(collection)).reading.vectors(ids)

    async def search(self, collection: str, query: Query) -> Found:
        """Search both legs at once."""
        table = await self._table(collection)
        where = table.legs.where(query.filter)
        if query.vector is not None:
            table.layout.check_vector(query.vector, query.embedder)
        version = await table.reached(query.min_version, query.deadline)
        by_words = by_vector = None
        if query.text.strip():
            by_words = table.legs.bm25(
                query.text, query.candidates, where, version=version
            )
        if query.vector is not None and table.layout.dimension:
            by_vector = table.legs.nearest(
                query.vector, query.candidates, where, version=version
            )
        legs = [each for each in (by_words, by_vector) if each is not None]
        found = list(await asyncio.gather(*legs))
        return Found(
            bm25=found.pop(0) if by_words is not None else None,
            vector=found.pop() if by_vector is not None else None,
            version=version,
        )

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: "Vector | None"
    ) -> Mapping[str, Scored]:
        """Look up what a leg left out."""
        return await (await self._table(collection)).legs.scores(ids, text, vector)

    async def follow(self, collection: str) -> None:
        """See what other processes wrote before this call."""
        await (await self._table(collection)).follow()

    async def _open_all(self) -> None:
        for name in await asyncio.to_thread(self._opened().names):
            try:
                table = await self._table(name)
            except UnknownCollection:
                continue
            except EngineFailed as error:
                path = self._opened().path(name)
                message = f"{path}: cannot be read; nothing was changed"
                raise DamagedStore(message) from error
            if self._writes:
                await table.make_indexes()
                self._house.wrote(name, table, 0)
        if self._writes:
            for gone in self._folder.glob("*.gone"):
                await asyncio.to_thread(_remove, gone)

    async def _table(self, name: str) -> "Table":
        return await self._opened().table(name)

    def _opened(self) -> "Shelf":
        if self._shelf is None:
            message = f"{self._folder}: is not open"
            raise EngineFailed(message)
        return self._shelf

    def _must_write(self) -> None:
        if not self._writes:
            message = f"{self._folder}: was opened for reading"
            raise ReadOnly(message)


def _load() -> type["Shelf"]:
    try:
        shelf = importlib.import_module("gateway.retrieval.lance.shelf")
    except ImportError as error:
        message = f"the package {error.name} is missing: pip install 'rerank-gateway[embedded]'"
        raise MissingEngine(message, extra="embedded") from error
    found: type[Shelf] = shelf.Shelf
    return found


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)
