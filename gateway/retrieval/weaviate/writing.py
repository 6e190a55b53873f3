"""Store and remove documents, and give each change its version."""

import asyncio
from collections.abc import Sequence

from gateway.retrieval.layout import Layout
from gateway.retrieval.parts import parts
from gateway.retrieval.retriever import Deleted, Document
from gateway.retrieval.weaviate.calls import Calls
from gateway.retrieval.weaviate.naming import object_id
from gateway.retrieval.weaviate.objects import written
from gateway.retrieval.weaviate.reading import Reading
from gateway.retrieval.weaviate.versions import Versions
from weaviate_api.v1.weaviate_pb2 import BatchObject


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

        A failure may leave a part of them stored: to store them again is the cure, and
        harmless.
        """
        if not documents:
            return await self._versions.now(name)
        named = self._calls.place(name)
        for part in parts(documents):
            # Counting the terms of a large part takes longer than a loop should wait.
            objects = await asyncio.to_thread(_laid_out, part, layout, named)
            await self._calls.put(name, objects)
        return await self._versions.raise_(name)

    async def delete(self, name: str, ids: Sequence[str]) -> Deleted:
        """Remove what is there of these.

        Where two remove one document at once, both count it.
        """
        there = await self._reading.stored(name, ids)
        if not there:
            return Deleted(0, await self._versions.now(name))
        await self._calls.remove(name, [object_id(each) for each in there])
        return Deleted(len(there), await self._versions.raise_(name))


def _laid_out(
    documents: Sequence[Document], layout: Layout, named: str
) -> list[BatchObject]:
    return [written(each, layout, named) for each in documents]
