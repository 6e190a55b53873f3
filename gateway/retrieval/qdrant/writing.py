"""Store and remove documents, and give each change its version."""

import asyncio
from collections.abc import Iterator, Sequence

from qdrant_client import models

from gateway.retrieval.qdrant.calls import Calls
from gateway.retrieval.qdrant.layout import Layout
from gateway.retrieval.qdrant.points import point, point_id
from gateway.retrieval.qdrant.reading import Reading
from gateway.retrieval.qdrant.versions import Versions
from gateway.retrieval.retriever import Deleted, Document

# Of one message: Qdrant takes 32 MiB, and no event loop should wait for so many.
_MOST_BYTES = 4 * 2**20
_MOST_DOCUMENTS = 256
_BYTES_PER_NUMBER = 4


class Writing:
    """Writes to collections; each of them is told how it is laid out."""

    def __init__(self, calls: Calls, reading: Reading, versions: Versions) -> None:
        self._calls = calls
        self._reading = reading
        self._versions = versions

    async def upsert(
        self, name: str, documents: Sequence[Document], layout: Layout
    ) -> int:
        """Store documents that fit, and give the version that has them.

        A failure may leave a part of them stored, of a message or of a shard: to store
        them again is the cure, and harmless.
        """
        if not documents:
            return await self._versions.now(name)
        for part in _parts(documents):
            # Counting the terms of a large part takes longer than a loop should wait.
            points = await asyncio.to_thread(_laid_out, part, layout)
            await self._calls.put(name, points)
        return await self._versions.raise_(name)

    async def delete(self, name: str, ids: Sequence[str]) -> Deleted:
        """Remove what is there of these.

        Qdrant does not tell how many there were: where two remove one document at once,
        both count it.
        """
        there = await self._reading.stored(name, ids)
        if not there:
            return Deleted(0, await self._versions.now(name))
        await self._calls.remove(name, [point_id(each) for each in there])
        return Deleted(len(there), await self._versions.raise_(name))


def _laid_out(
    documents: Sequence[Document], layout: Layout
) -> list[models.PointStruct]:
    return [point(each, layout) for each in documents]


def _parts(documents: Sequence[Document]) -> Iterator[Sequence[Document]]:
    """Cut a batch where a message would become too large."""
    start, size = 0, 0
    for place, each in enumerate(documents):
        more = len(each.title) + len(each.text) + len(each.metadata)
        if each.vector is not None:
            more += _BYTES_PER_NUMBER * len(each.vector)
        if place > start and (
            size + more > _MOST_BYTES or place - start == _MOST_DOCUMENTS
        ):
            yield documents[start:place]
            start, size = place, 0
        size += more
    yield documents[start:]
