"""Which document a row is, remembered by fragment: a row never becomes another one's.

Reading the ids of a hundred scattered rows costs more than finding these rows.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from lancedb import AsyncTable

Rows = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]

# The upper half of a row's number is its fragment's; fragments' numbers are never reused.
_OFFSET_BITS = 32
_MOST_STALE = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class _Fragment:
    """The rows of one fragment: 22 bytes for each with an id of 10."""

    rows: Rows
    """Ascending."""
    ids: pa.StringArray

    def names(self, rows: Rows) -> list[str] | None:
        """Give the ids of rows in their order; None: one of them is not here."""
        places = np.searchsorted(self.rows, rows)
        if not len(self.rows) or (self.rows[places % len(self.rows)] != rows).any():
            return None
        names: list[str] = self.ids.take(pa.array(places)).to_pylist()
        return names


class Names:
    """The names of the rows of a table, read when they are first asked for."""

    def __init__(self, table: AsyncTable) -> None:
        self._table = table
        self._fragments: dict[int, _Fragment] = {}  # the longest unused first
        self._loading = asyncio.Lock()

    async def of(self, rows: Rows) -> list[str] | None:
        """Give the ids of rows in their order; None: it cannot be told any more.

        That is so if the indexes were brought up to date after the rows were found.
        """
        fragments = rows >> np.uint64(_OFFSET_BITS)
        numbers: list[int] = np.unique(fragments).tolist()
        if any(each not in self._fragments for each in numbers):
            async with self._loading:
                await self._load(numbers)
        found = np.empty(len(rows), dtype=object)
        for number in numbers:
            here = fragments == number
            fragment = self._fragments.pop(number, None)
            if fragment is None:
                return None
            self._fragments[number] = fragment
            names = fragment.names(rows[here])
            if names is None:
                return None
            found[here] = names
        ids: list[str] = found.tolist()
        return ids

    async def _load(self, numbers: Iterable[int]) -> None:
        missing = [each for each in numbers if each not in self._fragments]
        if not missing:
            return
        ranges = (
            f"(_rowid >= {number << _OFFSET_BITS} AND "
            f"_rowid < {(number + 1) << _OFFSET_BITS})"
            for number in missing
        )
        query = self._table.query().where(" OR ".join(ranges))
        read = await query.select(["id"]).with_row_id().to_arrow()
        rows = read["_rowid"].to_numpy()
        ids = read["id"].combine_chunks()
        for number in missing:
            here = np.flatnonzero(rows >> np.uint64(_OFFSET_BITS) == number)
            here = here[np.argsort(rows[here])]
            self._fragments[number] = _Fragment(rows[here], ids.take(pa.array(here)))
        await self._drop_stale()

    async def _drop_stale(self) -> None:
        """Forget what was longest unused, if more is held than the table has."""
        most = await self._table.count_rows() + _MOST_STALE
        held = sum(len(each.rows) for each in self._fragments.values())
        for number in list(self._fragments):
            if held <= most:
                break
            held -= len(self._fragments.pop(number).rows)
