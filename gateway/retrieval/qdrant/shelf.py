"""How Qdrant is asked for collections, and what is fixed about each."""

from collections.abc import Sequence
from datetime import datetime

from gateway.retrieval.cluster import shelf
from gateway.retrieval.filter import Field
from gateway.retrieval.qdrant.calls import Calls
from gateway.retrieval.qdrant.layout import Layout
from gateway.retrieval.qdrant.versions import Versions


class Shelf(shelf.Shelf[Layout]):
    """The collections of ours in a cluster of Qdrant."""

    def __init__(self, calls: Calls, versions: Versions, mean_terms: float) -> None:
        super().__init__()
        self._calls = calls
        self._versions = versions
        self._mean_terms = mean_terms

    async def _names(self) -> Sequence[str]:
        return await self._calls.names()

    async def _exists(self, name: str) -> bool:
        return await self._calls.exists(name)

    async def _read(self, name: str, *, anew: bool) -> Layout:  # noqa: ARG002 - it is always so
        return await self._calls.layout(name)

    def _laid_out(
        self, fields: tuple[Field, ...], dimension: int, embedder: str, now: datetime
    ) -> Layout:
        return Layout(fields, dimension, embedder, now, self._mean_terms)

    async def _create(self, name: str, layout: Layout) -> None:
        await self._calls.make(name, layout)

    async def _complete(self, name: str, layout: Layout) -> None:
        await self._calls.index(name, layout)

    async def _raise(self, name: str) -> None:
        await self._versions.raise_(name)

    async def _drop(self, name: str) -> None:
        await self._calls.drop(name)

    async def _counted(self, name: str) -> tuple[int, int]:
        version = await self._versions.now(name)
        count = await self._calls.count(name)
        # One of the points is no document, but the mark.
        return count - bool(version), version
