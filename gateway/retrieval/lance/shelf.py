"""Which collections are in the folder, each of them opened once."""

import os
import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lancedb

from gateway.retrieval.errors import CollectionExists, DamagedStore, UnknownCollection
from gateway.retrieval.filter import Field
from gateway.retrieval.lance.failing import told
from gateway.retrieval.lance.rows import Layout, layout_of
from gateway.retrieval.lance.table import Table
from gateway.retrieval.layout import COLLECTION_NAME

_SUFFIX = ".lance"


class Shelf:
    """The collections of an open folder; made by `open`."""

    def __init__(self, folder: Path, database: lancedb.AsyncConnection) -> None:
        self._folder = folder
        self._database = database
        self._tables: dict[str, Table] = {}  # by the name of its folder

    @classmethod
    async def open(cls, folder: Path, *, behind_s: float | None) -> "Shelf":
        """Connect; `behind_s` is None where nobody else writes."""
        # It would say on every look at the index that this default is going to change.
        os.putenv("LANCE_INCLUDE_VECTOR_CENTROIDS", "false")
        behind = None if behind_s is None else timedelta(seconds=behind_s)
        with told(str(folder)):
            database = await lancedb.connect_async(
                str(folder), read_consistency_interval=behind
            )
        return cls(folder, database)

    def close(self) -> None:
        """Let go of everything."""
        self._tables.clear()
        self._database.close()

    def names(self) -> list[str]:
        """Name what is there, by name ascending."""
        found = self._folder.glob(f"*-*{_SUFFIX}")
        return sorted({each.name.partition("-")[0] for each in found})

    def path(self, name: str) -> Path:
        """Give the folder of a collection, or raise `UnknownCollection`."""
        if COLLECTION_NAME.fullmatch(name):
            for each in self._folder.glob(f"{name}-*{_SUFFIX}"):
                # Without a version in it: its creation never came to its end.
                if each.stem in self._tables or any(each.glob("_versions/*.manifest")):
                    return each
        message = f"there is no collection {name[:64]!r}"
        raise UnknownCollection(message)

    async def make(
        self, name: str, *, fields: tuple[Field, ...], dimension: int, embedder: str
    ) -> Table:
        """Make a collection that there is not, without indexes."""
        if not COLLECTION_NAME.fullmatch(name):
            message = f"{name[:64]!r} is no name of a collection"
            raise ValueError(message)
        try:
            self.path(name)
        except UnknownCollection:
            pass
        else:
            message = f"there is a collection {name!r} already"
            raise CollectionExists(message)
        said = Layout(fields, dimension, embedder, datetime.now(UTC))
        with told(name):
            # A table's name is never used again: the engine remembers files by their
            # paths, and other processes have the old ones open.
            table = f"{name}-{secrets.token_hex(4)}"
            await self._database.create_table(table, schema=said.schema)
        return await self.table(name)

    async def table(self, name: str) -> Table:
        """Give a collection, or raise `UnknownCollection`."""
        path = self.path(name)
        if path.stem not in self._tables:
            opened = await self._open_table(name, path)
            # Two that open it at once share one, and with it the order of its writes.
            self._tables.setdefault(path.stem, opened)
        return self._tables[path.stem]

    def forget(self, name: str) -> None:
        """Let go of a collection that is to be removed."""
        self._tables.pop(self.path(name).stem, None)

    async def _open_table(self, name: str, path: Path) -> Table:
        with told(name):
            opened = await self._database.open_table(path.stem)
            schema = await opened.schema()
        try:
            return Table(name, opened, layout_of(schema))
        except DamagedStore as error:
            message = f"{path}: {error}; nothing was changed"
            raise DamagedStore(message) from error
