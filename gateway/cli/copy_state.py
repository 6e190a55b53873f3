"""What of a collection has been copied, so that only what changes is copied again.

A small SQLite database: it holds a few bytes for each of any number of documents, and what
it was told last survives a crash.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

from gateway.settings.places import state_folder
from rerank.v1 import collection_pb2, document_pb2

_TABLE = """
CREATE TABLE IF NOT EXISTS copied (
    id BLOB PRIMARY KEY, digest BLOB NOT NULL, pass INTEGER NOT NULL
) WITHOUT ROWID
"""
_DIGEST_BYTES = 16


class Copied:
    """Which documents the target has of the source, and since when."""

    def __init__(self, database: sqlite3.Connection) -> None:
        """Go on where an earlier run ended."""
        self._database = database
        database.execute(_TABLE)
        (last,) = database.execute("SELECT max(pass) FROM copied").fetchone()
        self._pass = last or 0

    @classmethod
    @contextmanager
    def between(
        cls,
        source: collection_pb2.Collection,
        target: collection_pb2.Collection,
        *,
        how: str,
        environ: Mapping[str, str] | None = None,
    ) -> Iterator[Self]:
        """Remember for two collections: those of the same names made anew are others.

        Args:
            source: Where documents come from.
            target: Where they go.
            how: Copied otherwise, documents are others.
            environ: Stands in for the process's environment.

        Raises:
            OSError: There is no place to remember.
            sqlite3.Error: Likewise.

        """
        key = [how]
        for each in (source, target):
            key += [each.name, str(each.create_time.ToNanoseconds())]
        name = hashlib.sha256("\0".join(key).encode()).hexdigest()[:32]
        folder = state_folder(environ) / "copies"
        folder.mkdir(parents=True, exist_ok=True)
        database = sqlite3.connect(folder / f"{name}.sqlite", isolation_level=None)
        try:
            # A second copy of the same waits, and then says that it is locked.
            database.execute("PRAGMA locking_mode = EXCLUSIVE")
            database.execute("PRAGMA journal_mode = WAL")
            yield cls(database)
        finally:
            database.close()

    def begin(self) -> None:
        """Begin to go through the source: nothing has been seen of it."""
        self._pass += 1

    def changed(
        self, documents: Sequence[document_pb2.Document]
    ) -> list[document_pb2.Document]:
        """Give those that the target has not as they are; the others are seen."""
        known = []
        changed = []
        for each in documents:
            row = self._database.execute(
                "SELECT digest FROM copied WHERE id = ?", (_key(each.id),)
            ).fetchone()
            if row is not None and row[0] == _digest(each):
                known.append((self._pass, _key(each.id)))
            else:
                changed.append(each)
        self._all("UPDATE copied SET pass = ? WHERE id = ?", known)
        return changed

    def seen(self, names: Iterable[str]) -> None:
        """Note that these are in the source, whatever the target has of them."""
        rows = [(self._pass, _key(each)) for each in names]
        self._all("UPDATE copied SET pass = ? WHERE id = ?", rows)

    def add(self, documents: Iterable[document_pb2.Document]) -> None:
        """Note what the target has now."""
        self._all(
            "INSERT OR REPLACE INTO copied VALUES (?, ?, ?)",
            [(_key(each.id), _digest(each), self._pass) for each in documents],
        )

    def gone(self, at_most: int) -> list[str]:
        """Give documents that the target has, and that were not seen in this pass."""
        rows = self._database.execute(
            "SELECT id FROM copied WHERE pass < ? LIMIT ?", (self._pass, at_most)
        )
        return [name.decode() for (name,) in rows]

    def forget(self, names: Iterable[str]) -> None:
        """Note what the target has no longer."""
        rows = [(_key(each),) for each in names]
        self._all("DELETE FROM copied WHERE id = ?", rows)

    def _all(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        self._database.execute("BEGIN")
        self._database.executemany(statement, rows)
        self._database.execute("COMMIT")


def _key(name: str) -> bytes:
    return name.encode()


def _digest(document: document_pb2.Document) -> bytes:
    written = document.SerializeToString(deterministic=True)
    return hashlib.blake2b(written, digest_size=_DIGEST_BYTES).digest()
