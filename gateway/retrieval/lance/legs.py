"""What a search asks of a collection: two ranked lists, and the scores of documents."""

from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
from lancedb import AsyncTable
from lancedb.query import MatchQuery

from gateway.retrieval.cosines import cosines
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.filter import Filter
from gateway.retrieval.lance.failing import told
from gateway.retrieval.lance.reading import Reading
from gateway.retrieval.lance.rows import Layout, Vector
from gateway.retrieval.lance.sql import condition, one_of
from gateway.retrieval.retriever import Hit, Leg, Scored

TEXT_INDEX = "content_idx"

# How many times as many documents as are not indexed have to be, for its statistics.
_WELL_KNOWN = 5
_MOST_LISTED = 10_000


class Legs:
    """Both legs of one collection.

    Args:
        name: What it is called.
        table: The engine's.
        layout: What is fixed about it.
        reading: Reads it, too.

    """

    def __init__(
        self, name: str, table: AsyncTable, layout: Layout, *, reading: Reading
    ) -> None:
        self._name = name
        self._table = table
        self._layout = layout
        self._reading = reading

    def where(self, asked: Filter | None) -> str | None:
        """Compile a filter, or raise `InvalidFilter`."""
        if asked is None:
            return None
        self._layout.check_filter(asked)
        return condition(asked, self._layout.fields)

    async def bm25(
        self, text: str, count: int, where: str | None, *, version: int
    ) -> Leg:
        """Rank by words, when this version is there."""
        try:
            with told(self._name):
                rows = await self._bm25(text, where).limit(count).to_arrow()
                names = await self._reading.names(rows)
                if names is None:
                    query = self._bm25(text, where).limit(count)
                    rows = await query.select(["id", "_score"]).to_arrow()
                    names = rows["id"].to_pylist()
        except RetrieverError as error:
            return Leg(failure=error)
        if self._layout.dimension:
            self._reading.keep(version, rows, names)
        return _ranked(names, rows["_score"].to_pylist())

    async def nearest(
        self, vector: Vector, count: int, where: str | None, *, version: int
    ) -> Leg:
        """Rank by cosine, when this version is there."""
        try:
            with told(self._name):
                rows = await self._nearest(vector, count, where).to_arrow()
                names = await self._reading.names(rows)
                if names is None:
                    query = self._nearest(vector, count, where)
                    columns = ["id", "vector", "_distance"]
                    rows = await query.select(columns).to_arrow()
                    names = rows["id"].to_pylist()
        except RetrieverError as error:
            return Leg(failure=error)
        self._reading.keep(version, rows, names)
        return _ranked(names, _cosines(rows))

    async def scores(
        self, ids: Sequence[str], text: str, vector: Vector | None
    ) -> Mapping[str, Scored]:
        """Look up both scores of documents."""
        if not ids:
            return {}
        there: dict[str, float | None]
        if vector is not None and self._layout.dimension:
            there = cosines(await self._reading.vectors(ids), vector)
        else:
            there = dict.fromkeys(await self._reading.stored(ids))
        words = await self._words(ids, text) if text.strip() else {}
        return {
            name: Scored(words.get(name, 0.0), cosine) for name, cosine in there.items()
        }

    async def _words(self, ids: Sequence[str], text: str) -> dict[str, float]:
        with told(self._name):
            stats = await self._table.index_stats(TEXT_INDEX)
            known = stats.num_indexed_rows if stats else 0
            unknown = stats.num_unindexed_rows if stats else 0
            query = self._bm25(text, None)
            if known >= _WELL_KNOWN * unknown:
                # What is indexed gets its score of the list; what is not is weighed by
                # the statistics of the index, which misses less than a hundredth.
                count = len(ids)
                query = query.where(one_of("id", ids))
            else:
                # Without statistics, a condition would change the scores at will.
                count = min(known + unknown, _MOST_LISTED)
            query = query.select(["id", "_score"]).limit(max(1, count))
            rows = await query.to_arrow()
        return dict(
            zip(rows["id"].to_pylist(), rows["_score"].to_pylist(), strict=True)
        )

    def _bm25(self, text: str, where: str | None):  # type: ignore[no-untyped-def]  # noqa: ANN202 - theirs
        query = self._table.query().nearest_to_text(MatchQuery(text, "content"))
        if where:
            query = query.where(where)
        return query.select(["_score"]).with_row_id()

    def _nearest(self, vector: Vector, count: int, where: str | None):  # type: ignore[no-untyped-def]  # noqa: ANN202 - theirs
        query = self._table.vector_search(vector).column("vector")
        # As wide as it needs to be for a recall of 0.99; refined, since the graph's
        # distances are those of rounded vectors.
        query = query.distance_type("cosine").ef(max(200, 2 * count)).refine_factor(1)
        if where:
            query = query.where(where)
        # The vectors were read for the distances: to bring them costs nothing more.
        return query.select(["vector", "_distance"]).with_row_id().limit(count)


def _cosines(rows: pa.Table) -> list[float]:
    return [1.0 - each for each in rows["_distance"].to_pylist()]


def _ranked(ids: Iterable[str], scores: Iterable[float]) -> Leg:
    hits = [Hit(name, score) for name, score in zip(ids, scores, strict=True)]
    return Leg(tuple(sorted(hits, key=lambda each: (-each.score, each.id))))
