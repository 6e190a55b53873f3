"""How Weaviate is asked for collections, and what is fixed about each."""

from collections.abc import Sequence
from datetime import datetime

from gateway.retrieval.cluster import shelf
from gateway.retrieval.filter import Field
from gateway.retrieval.layout import Layout
from gateway.retrieval.weaviate.calls import Calls
from gateway.retrieval.weaviate.versions import Versions


class Shelf(shelf.Shelf[Layout]):
    """The collections of ours in a cluster of Weaviate."""

    def __init__(self, calls: Calls, versions: Versions) -> None:
        super().__init__()
        self._calls = calls
        self._versions = versions

    async def _names(self) -> Sequence[str]:
        return await self._calls.names()

    async def _exists(self, name: str) -> bool:
        return await self._calls.exists(name)

    async def _read(self, name: str, *, anew: bool) -> Layout:
        return await self._calls.layout(name, anew=anew)

    def _laid_out(
        self, fields: tuple[Field, ...], dimension: int, embedder: str, now: datetime
    ) -> Layout:
        return Layout(fields, dimension, embedder, now)

    async def _create(self, name: str, layout: Layout) -> None:
        await self._calls.make(name, layout)

    async def _raise(self, name: str) -> None:
        await self._versions.raise_(name)

    async def _drop(self, name: str) -> None:
        await self._calls.drop(name)

    async def _counted(self, name: str) -> tuple[int, int]:
        marks = await self._versions.marks(name)
        count = await self._calls.count(name)
        # Marks are no documents.
        return count - len(marks), max(marks.values(), default=0)
