"""Bring documents, and remember where the last ones were."""

from collections.abc import Mapping, Sequence

import pyarrow as pa
from lancedb import AsyncTable
from lancedb.query import ColumnOrdering

from gateway.retrieval.lance.failing import told
from gateway.retrieval.lance.names import Names
from gateway.retrieval.lance.recent import Place, Recent
from gateway.retrieval.lance.rows import Layout, Vector
from gateway.retrieval.lance.sql import beyond, one_of
from gateway.retrieval.retriever import Document, Page

_BY_ID = ColumnOrdering(column_name="id")


class Reading:
    """What is read of a collection by the ids of documents, or by their rows.

    Args:
        name: What the collection is called.
        table: The engine's.
        layout: What is fixed about it.

    """

    def __init__(self, name: str, table: AsyncTable, layout: Layout) -> None:
        self._name = name
        self._table = table
        self._layout = layout
        self._recent = Recent(dimension=layout.dimension)
        self._names = Names(table)

    async def get(
        self, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents in the order of the ids."""
        if not ids:
            return ()
        columns = self._layout.columns(with_vectors=with_vectors)
        found: dict[str, Document] = {}
        with told(self._name):
            known = self._recent.at(int(await self._table.version()))
            rows = [known[each].row for each in ids if each in known]
            if rows:
                query = self._table.take_row_ids(rows).select(columns)
                found = self._documents(await query.to_arrow())
            # Those, too, that a write has moved meanwhile.
            if missing := [each for each in ids if each not in found]:
                query = self._rows(missing).select(columns)
                found |= self._documents(await query.to_arrow())
        return tuple(found[each] for each in ids if each in found)

    async def page(self, after: str, count: int, *, with_vectors: bool) -> Page:
        """Bring the documents behind an id, by id ascending."""
        query = self._table.query()
        if after:
            query = query.where(beyond("id", after))
        query = query.select(self._layout.columns(with_vectors=with_vectors))
        with told(self._name):
            rows = await query.order_by([_BY_ID]).limit(count).to_arrow()
        found = tuple(self._layout.documents(rows))
        return Page(found, found[-1].id if len(found) == count else "")

    async def vectors(self, ids: Sequence[str]) -> Mapping[str, Vector]:
        """Bring vectors alone."""
        if not ids or not self._layout.dimension:
            return {}
        with told(self._name):
            version = int(await self._table.version())
            known = self._recent.at(version)
            places = {each: known[each] for each in ids if each in known}
            unread = [each.row for each in places.values() if each.vector is None]
            if unread:
                rows = self._table.take_row_ids(unread).select(["id", "vector"])
                places |= await self._read(rows, version)
            # What a write has moved meanwhile was not there any more.
            missing = [
                each
                for each in dict.fromkeys(ids)
                if each not in places or places[each].vector is None
            ]
            if missing:
                rows = self._rows(missing).select(["id", "vector"])
                places |= await self._read(rows, version)
        return {
            name: place.vector
            for name, place in places.items()
            if place.vector is not None
        }

    async def stored(self, ids: Sequence[str]) -> list[str]:
        """Tell which of the ids are stored."""
        with told(self._name):
            rows = await self._rows(ids).select(["id"]).to_arrow()
        found: list[str] = rows["id"].to_pylist()
        return found

    async def names(self, found: pa.Table) -> list[str] | None:
        """Name the documents of rows; None: rows have moved since they were found."""
        return await self._names.of(found["_rowid"].to_numpy())

    def keep(
        self, version: int, rows: pa.Table, names: Sequence[str]
    ) -> dict[str, Place]:
        """Remember what was found when this version was there already."""
        vectors: Sequence[Vector | None] = [None] * len(rows)
        if "vector" in rows.column_names:
            vectors = self._layout.vectors(rows)
        places = map(Place, rows["_rowid"].to_pylist(), vectors)
        found = dict(zip(names, places, strict=True))
        self._recent.keep(version, found.items())
        return found

    def _documents(self, rows: pa.Table) -> dict[str, Document]:
        return {each.id: each for each in self._layout.documents(rows)}

    async def _read(self, query, version: int) -> dict[str, Place]:  # type: ignore[no-untyped-def]  # noqa: ANN001 - theirs
        rows = await query.with_row_id().to_arrow()
        return self.keep(version, rows, rows["id"].to_pylist())

    def _rows(self, ids: Sequence[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202 - theirs
        return self._table.query().where(one_of("id", ids)).limit(len(ids))
