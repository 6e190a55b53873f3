"""Store and remove documents, and give each change its version."""

import asyncio
from collections.abc import Sequence

from qdrant_client import models

from gateway.retrieval.parts import parts
from gateway.retrieval.qdrant.calls import Calls
from gateway.retrieval.qdrant.layout import Layout
from gateway.retrieval.qdrant.points import point, point_id
from gateway.retrieval.qdrant.reading import Reading
from gateway.retrieval.qdrant.versions import Versions
from gateway.retrieval.retriever import Deleted, Document


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
        for part in parts(documents):
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
