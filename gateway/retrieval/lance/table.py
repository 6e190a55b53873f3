"""One collection: a LanceDB table with its indexes, read and written."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from lancedb import AsyncTable
from lancedb.index import FTS, BTree, HnswSq

from gateway.retrieval.errors import VersionNotReached
from gateway.retrieval.lance.failing import told
from gateway.retrieval.lance.legs import TEXT_INDEX, Legs
from gateway.retrieval.lance.reading import Reading
from gateway.retrieval.lance.rows import Layout
from gateway.retrieval.lance.sql import one_of
from gateway.retrieval.retriever import Collection, Deleted, Document, Shape

_POLL_S = 0.02


class Table:
    """A collection that is open.

    Args:
        name: What it is called.
        table: The engine's.
        layout: What is fixed about it.

    """

    def __init__(self, name: str, table: AsyncTable, layout: Layout) -> None:
        self._name = name
        self._table = table
        self.layout = layout
        # Two merges at once may both insert an id that neither found: one after the other.
        self.writing = asyncio.Lock()
        self.reading = Reading(name, table, layout)
        self.legs = Legs(name, table, layout, reading=self.reading)

    @property
    def shape(self) -> Shape:
        """What is fixed about it."""
        return self.layout.shape

    async def describe(self) -> Collection:
        """Say what it is and how large."""
        with told(self._name):
            version = await self._table.version()
            count = await self._table.count_rows()
        return Collection(
            name=self._name,
            fields=self.layout.fields,
            dimension=self.layout.dimension,
            embedder=self.layout.embedder,
            document_count=count,
            version=version,
            created=self.layout.created,
        )

    async def make_indexes(self) -> None:
        """Make those that every search needs, as far as they are missing.

        Without its index, full-text search would neither stem nor know stop words.
        """
        with told(self._name):
            there = {each.name for each in await self._table.list_indices()}
            if TEXT_INDEX not in there:
                english = FTS(stem=True, remove_stop_words=True, ascii_folding=True)
                await self._table.create_index("content", config=english)
            if "id_idx" not in there:
                await self._table.create_index("id", config=BTree())

    async def make_vector_index(self) -> None:
        """Make the index that answers without comparing every vector."""
        with told(self._name):
            # One graph: more partitions would be searched one by one anyway.
            graph = HnswSq(distance_type="cosine", num_partitions=1)
            await self._table.create_index("vector", config=graph)

    async def has_vector_index(self) -> bool:
        """Tell whether there is one already."""
        with told(self._name):
            there = await self._table.list_indices()
        return any(each.columns == ["vector"] for each in there)

    async def unindexed_count(self) -> int:
        """Count the documents that full-text search has to read one by one."""
        with told(self._name):
            stats = await self._table.index_stats(TEXT_INDEX)
        return stats.num_unindexed_rows if stats else 0

    async def tidy(self, *, keep_versions_s: float) -> None:
        """Bring the indexes up to date, join small files, forget old versions."""
        with told(self._name):
            await self._table.optimize(
                cleanup_older_than=timedelta(seconds=keep_versions_s)
            )

    async def upsert(self, documents: Sequence[Document], embedder: str) -> int:
        """Store all of them or none."""
        if not documents:
            return (await self.describe()).version
        with told(self._name):
            rows = self.layout.table(documents, embedder)
        async with self.writing:
            with told(self._name):
                merge = self._table.merge_insert("id").when_matched_update_all()
                done = await merge.when_not_matched_insert_all().execute(rows)
        return int(done.version)

    async def delete(self, ids: Sequence[str]) -> Deleted:
        """Remove what is there of these."""
        if not ids:
            return Deleted(0, (await self.describe()).version)
        async with self.writing:
            with told(self._name):
                done = await self._table.delete(one_of("id", ids))
        return Deleted(int(done.num_deleted_rows), int(done.version))

    async def follow(self) -> None:
        """See what was written before this call."""
        with told(self._name):
            await self._table.checkout_latest()

    async def reached(self, version: int, deadline: float) -> int:
        """Wait until this version is there, and give the one that is."""
        now = asyncio.get_running_loop().time
        while True:
            with told(self._name):
                there = int(await self._table.version())
                if there >= version:
                    return there
                if now() >= deadline:
                    message = f"{self._name}: version {version} is not there yet"
                    raise VersionNotReached(message, version=there)
                await asyncio.sleep(min(_POLL_S, max(0.0, deadline - now())))
                await self._table.checkout_latest()
