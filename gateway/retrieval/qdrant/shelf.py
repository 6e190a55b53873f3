"""Which collections are in the cluster, and what is fixed about each."""

import asyncio
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.concurrency import all_of
from gateway.retrieval.errors import (
    CollectionExists,
    EngineFailed,
    UnknownCollection,
)
from gateway.retrieval.filter import Field
from gateway.retrieval.qdrant.calls import Calls
from gateway.retrieval.qdrant.layout import Layout
from gateway.retrieval.qdrant.versions import Versions
from gateway.retrieval.retriever import Collection

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")

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
    mean_terms: float
    _known: dict[str, _Known] = field(default_factory=dict)

    async def layout(self, name: str, *, anew: bool = False) -> Layout:
        """Tell what is fixed about a collection, or raise `UnknownCollection`.

        Args:
            name: Whatever a caller wrote.
            anew: Nothing that is remembered is good enough.

        """
        if not _NAME.fullmatch(name):
            message = f"there is no collection {name[:64]!r}"
            raise UnknownCollection(message)
        now = asyncio.get_running_loop().time()
        known = self._known.get(name)
        if known is not None and not anew and now < known.until:
            return known.layout
        self.forget(name)
        layout = await self.calls.layout(name)
        self._known[name] = _Known(layout, now + _KNOWN_FOR_S)
        return layout

    def forget(self, name: str) -> None:
        """Look again when it is asked for."""
        self._known.pop(name, None)

    async def make(
        self, name: str, *, fields: tuple[Field, ...], dimension: int, embedder: str
    ) -> Collection:
        """Make a collection that there is not."""
        if not _NAME.fullmatch(name):
            message = f"{name[:64]!r} is no name of a collection"
            raise ValueError(message)
        if await self.calls.exists(name):
            message = f"there is a collection {name!r} already"
            raise CollectionExists(message)
        layout = Layout(fields, dimension, embedder, datetime.now(UTC), self.mean_terms)
        try:
            await self.calls.make(name, layout)
        except EngineFailed as error:
            # It was made in the meantime: by somebody else, or by a call of ours that was
            # made again since its answer was lost.
            if not await self.calls.exists(name):
                raise
            if await self.calls.layout(name) != layout:
                message = f"there is a collection {name!r} already"
                raise CollectionExists(message) from error
            await self.calls.index(name, layout)
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
        version = await self.versions.now(name)
        count = await self.calls.count(name)
        return Collection(
            name=name,
            fields=layout.fields,
            dimension=layout.dimension,
            embedder=layout.embedder,
            # One of the points is no document, but the mark.
            document_count=count - bool(version),
            version=version,
            created=layout.created,
        )

    async def describe_all(self) -> tuple[Collection, ...]:
        """Describe those of ours, by name ascending."""
        names = [each for each in await self.calls.names() if _NAME.fullmatch(each)]
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
