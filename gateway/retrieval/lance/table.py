"""One collection: a LanceDB table with its indexes, read and written."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import pyarrow as pa
from lancedb import AsyncTable
from lancedb.index import FTS, BTree, HnswSq
from lancedb.query import MatchQuery

from gateway.retrieval.filter import Filter, faults
from gateway.retrieval.lance.failing import told
from gateway.retrieval.lance.rows import Layout, Vector
from gateway.retrieval.lance.sql import condition, one_of
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Hit,
    InvalidFilter,
    Leg,
    RetrieverError,
    Scored,
    Shape,
    VersionNotReached,
)

_TEXT_INDEX = "content_idx"
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

    @property
    def shape(self) -> Shape:
        """What is fixed about it."""
        fixed = self.layout
        return Shape(fixed.fields, fixed.dimension, fixed.embedder)

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
            if _TEXT_INDEX not in there:
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
            stats = await self._table.index_stats(_TEXT_INDEX)
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

    async def get(
        self, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents in the order of the ids."""
        if not ids:
            return ()
        columns = self.layout.columns(with_vectors=with_vectors)
        with told(self._name):
            rows = await self._rows(ids).select(columns).to_arrow()
        found = {each.id: each for each in self.layout.documents(rows)}
        return tuple(found[each] for each in ids if each in found)

    async def vectors(self, ids: Sequence[str]) -> Mapping[str, Vector]:
        """Bring vectors alone."""
        if not ids or not self.layout.dimension:
            return {}
        with told(self._name):
            rows = await self._rows(ids).select(["id", "vector"]).to_arrow()
        return dict(zip(rows["id"].to_pylist(), self.layout.vectors(rows), strict=True))

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

    def where(self, asked: Filter | None) -> str | None:
        """Compile a filter, or raise `InvalidFilter`."""
        if asked is None:
            return None
        if wrong := faults(asked, self.layout.fields):
            first = wrong[0]
            message = f"filter.{first.path}: {first.description}".replace(".:", ":")
            raise InvalidFilter(message)
        return condition(asked, self.layout.fields)

    async def bm25(self, text: str, count: int, where: str | None) -> Leg:
        """Rank by words."""
        try:
            with told(self._name):
                rows = await self._bm25(text, count, where)
        except RetrieverError as error:
            return Leg(failure=error)
        return _ranked(rows["id"].to_pylist(), rows["_score"].to_pylist())

    async def nearest(self, vector: Vector, count: int, where: str | None) -> Leg:
        """Rank by cosine."""
        try:
            with told(self._name):
                rows = await self._nearest(vector, count, where, exact=False)
        except RetrieverError as error:
            return Leg(failure=error)
        return _ranked(rows["id"].to_pylist(), _cosines(rows))

    async def scores(
        self, ids: Sequence[str], text: str, vector: Vector | None
    ) -> Mapping[str, Scored]:
        """Look up both scores of documents."""
        if not ids:
            return {}
        among, count = one_of("id", ids), len(ids)
        with told(self._name):
            there = await self._rows(ids).select(["id"]).to_arrow()
            words: dict[str, float] = {}
            if text.strip():
                # What is not indexed yet is weighed by what the condition leaves of it:
                # unless there is no such rest, only the whole list has the true scores.
                if await self.unindexed_count():
                    rows = await self._bm25(text, await self._table.count_rows(), None)
                else:
                    rows = await self._bm25(text, count, among)
                words = dict(
                    zip(rows["id"].to_pylist(), rows["_score"].to_pylist(), strict=True)
                )
            cosines: dict[str, float] = {}
            if vector is not None and self.layout.dimension:
                rows = await self._nearest(vector, count, among, exact=True)
                cosines = dict(zip(rows["id"].to_pylist(), _cosines(rows), strict=True))
        return {
            each: Scored(words.get(each, 0.0), cosines.get(each))
            for each in there["id"].to_pylist()
        }

    async def _bm25(self, text: str, count: int, where: str | None) -> pa.Table:
        query = self._table.query().nearest_to_text(MatchQuery(text, "content"))
        if where:
            query = query.where(where)
        return await query.select(["id", "_score"]).limit(max(1, count)).to_arrow()

    async def _nearest(
        self, vector: Vector, count: int, where: str | None, *, exact: bool
    ) -> pa.Table:
        query = self._table.vector_search(vector).column("vector")
        query = query.distance_type("cosine")
        if exact:
            query = query.bypass_vector_index()
        else:
            # As wide as it needs to be for a recall of 0.99; refined, since the graph's
            # distances are those of rounded vectors.
            query = query.ef(max(200, 2 * count)).refine_factor(1)
        if where:
            query = query.where(where)
        return await query.select(["id", "_distance"]).limit(count).to_arrow()

    def _rows(self, ids: Sequence[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202 - theirs
        return self._table.query().where(one_of("id", ids)).limit(len(ids))


def _cosines(rows: pa.Table) -> list[float]:
    return [1.0 - each for each in rows["_distance"].to_pylist()]


def _ranked(ids: Iterable[str], scores: Iterable[float]) -> Leg:
    hits = [Hit(name, score) for name, score in zip(ids, scores, strict=True)]
    return Leg(tuple(sorted(hits, key=lambda each: (-each.score, each.id))))
