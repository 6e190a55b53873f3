"""Keep the indexes up to date while documents come in, one collection at a time.

What no index has yet is read document by document: full-text search takes 80 µs of CPU for
each, so that a thousand of them cost it twenty times its usual time.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.retrieval.errors import RetrieverError

if TYPE_CHECKING:
    from gateway.retrieval.lance.table import Table

_log = logging.getLogger("gateway")

# At most this part of a collection waits for its index while writes go on: the index is
# merged as a whole, so that doing it for every batch would slow an import down.
_MOST_WAITING = 0.1
_MANY = 1000


@dataclass(slots=True)
class _Work:
    table: "Table"
    waiting: int = 0
    """Documents written since it was last tidied."""
    settled: bool = False
    """Nothing was written since the last look."""


class House:
    """What is to be done, and the loop that does it.

    Args:
        vector_index_from: From how many documents on vectors get an index.
        every_s: How often it looks.
        keep_versions_s: How long a superseded version is kept.

    """

    def __init__(
        self, *, vector_index_from: int, every_s: float, keep_versions_s: float
    ) -> None:
        self._vector_index_from = vector_index_from
        self._every_s = every_s
        self._keep_versions_s = keep_versions_s
        self._work: dict[str, _Work] = {}

    def wrote(self, name: str, table: "Table", count: int) -> None:
        """Note that a collection was changed."""
        work = self._work.setdefault(name, _Work(table))
        work.table = table
        work.waiting += count
        work.settled = False

    def forget(self, name: str) -> None:
        """Note that a collection is gone."""
        self._work.pop(name, None)

    def forget_all(self) -> None:
        """Note that the store is closed."""
        self._work.clear()

    async def keep(self) -> None:
        """Look and tidy for ever; a failure is tried again at the next look."""
        while True:
            await asyncio.sleep(self._every_s)
            for name, work in list(self._work.items()):
                try:
                    await self._look(name, work)
                except RetrieverError as error:
                    _log.warning("housekeeping: %s", error)

    async def _look(self, name: str, work: _Work) -> None:
        if not work.settled:
            work.settled = True
            count = (await work.table.describe()).document_count
            # Others write meanwhile: their work is in `waiting`, not in this decision.
            if work.waiting < max(_MANY, _MOST_WAITING * count):
                return
        done = work.waiting
        async with work.table.writing:
            if self._work.get(name) is not work:
                return
            await work.table.tidy(keep_versions_s=self._keep_versions_s)
        work.waiting -= done
        await self._index_vectors(work)
        if work.settled and not work.waiting:
            self._work.pop(name, None)

    async def _index_vectors(self, work: _Work) -> None:
        """Make the vector index, beside the writes: at 100 000 documents it takes minutes."""
        about = await work.table.describe()
        if not about.dimension or about.document_count < self._vector_index_from:
            return
        if not await work.table.has_vector_index():
            await work.table.make_vector_index()
