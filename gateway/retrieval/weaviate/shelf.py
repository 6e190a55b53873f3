"""Which collections are in the cluster, and what is fixed about each."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.concurrency import all_of
from gateway.retrieval.errors import (
    CollectionExists,
    EngineFailed,
    UnknownCollection,
)
from gateway.retrieval.filter import Field
from gateway.retrieval.layout import Layout
from gateway.retrieval.retriever import Collection
from gateway.retrieval.weaviate.calls import Calls
from gateway.retrieval.weaviate.naming import NAME
from gateway.retrieval.weaviate.versions import Versions

# Other gateways may make a collection anew, and are seen within 2 seconds.
_KNOWN_FOR_S = 1.0
_AT_ONCE = 16


@dataclass(slots=True)
class _Known:
    layout: Layout
    until: float
    """In event-loop seconds."""


@dataclass(slots=True)
class Shelf:
    """The collections of ours in a cluster."""

    calls: Calls
    versions: Versions
    _known: dict[str, _Known] = field(default_factory=dict)

    async def layout(self, name: str, *, anew: bool = False) -> Layout:
        """Tell what is fixed about a collection, or raise `UnknownCollection`.

        Args:
            name: Whatever a caller wrote.
            anew: Nothing that is remembered is good enough.

        """
        if not NAME.fullmatch(name):
            message = f"there is no collection {name[:64]!r}"
            raise UnknownCollection(message)
        now = asyncio.get_running_loop().time()
        known = self._known.get(name)
        if known is not None and not anew and now < known.until:
            return known.layout
        self.forget(name)
        layout = await self.calls.layout(name, anew=anew)
        self._known[name] = _Known(layout, now + _KNOWN_FOR_S)
        return layout

    def forget(self, name: str) -> None:
        """Look again when it is asked for."""
        self._known.pop(name, None)

    async def make(
        self, name: str, *, fields: tuple[Field, ...], dimension: int, embedder: str
    ) -> Collection:
        """Make a collection that there is not."""
        if not NAME.fullmatch(name):
            message = f"{name[:64]!r} is no name of a collection"
            raise ValueError(message)
        if await self.calls.exists(name):
            message = f"there is a collection {name!r} already"
            raise CollectionExists(message)
        layout = Layout(fields, dimension, embedder, datetime.now(UTC))
        try:
            await self.calls.make(name, layout)
        except EngineFailed as error:
            # It was made in the meantime: by somebody else, or by a call of ours that was
            # made again since its answer was lost.
            if not await self.calls.exists(name):
                raise
            if await self.calls.layout(name, anew=True) != layout:
                message = f"there is a collection {name!r} already"
                raise CollectionExists(message) from error
        await self.versions.raise_(name)
        self.forget(name)
        return await self.describe(name)

    async def remove(self, name: str) -> None:
        """Remove a collection."""
        await self.layout(name, anew=True)
        self.forget(name)
        await self.calls.drop(name)

    async def describe(self, name: str) -> Collection:
        """Say what a collection is and how large."""
        layout = await self.layout(name, anew=True)
        marks = await self.versions.marks(name)
        count = await self.calls.count(name)
        return Collection(
            name=name,
            fields=layout.fields,
            dimension=layout.dimension,
            embedder=layout.embedder,
            # Marks are no documents.
            document_count=count - len(marks),
            version=max(marks.values(), default=0),
            created=layout.created,
        )

    async def describe_all(self) -> tuple[Collection, ...]:
        """Describe those of ours, by name ascending."""
        names = await self.calls.names()
        found: list[Collection | None] = []
        for start in range(0, len(names), _AT_ONCE):
            part = names[start : start + _AT_ONCE]
            found += await all_of(*(self._if_there(each) for each in part))
        return tuple(each for each in found if each is not None)

    async def _if_there(self, name: str) -> Collection | None:
        try:
            return await self.describe(name)
        except UnknownCollection:
            return None  # somebody else's, or gone in the meantime
