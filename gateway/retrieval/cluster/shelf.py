"""Which collections are in a cluster, and what is fixed about each."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from gateway.concurrency import all_of
from gateway.retrieval.errors import (
    CollectionExists,
    EngineFailed,
    UnknownCollection,
)
from gateway.retrieval.filter import Field
from gateway.retrieval.layout import COLLECTION_NAME, Layout
from gateway.retrieval.retriever import Collection

LayoutT = TypeVar("LayoutT", bound=Layout)

# Other gateways may make a collection anew, and are seen within 2 seconds.
_KNOWN_FOR_S = 1.0
_AT_ONCE = 16


@dataclass(slots=True)
class _Known(Generic[LayoutT]):
    layout: LayoutT
    until: float
    """In event-loop seconds."""


class Shelf(ABC, Generic[LayoutT]):
    """The collections of ours in a cluster; an engine says how it is asked."""

    def __init__(self) -> None:
        self._known: dict[str, _Known[LayoutT]] = {}

    @abstractmethod
    async def _names(self) -> Sequence[str]:
        """Name all collections that may be ours, by name ascending."""

    @abstractmethod
    async def _exists(self, name: str) -> bool:
        """Tell whether there is one of that name, ours or not."""

    @abstractmethod
    async def _read(self, name: str, *, anew: bool) -> LayoutT:
        """Read what is fixed about one; anew: as it is now in the whole cluster."""

    @abstractmethod
    def _laid_out(
        self, fields: tuple[Field, ...], dimension: int, embedder: str, now: datetime
    ) -> LayoutT:
        """Say what will be fixed about a new one."""

    @abstractmethod
    async def _create(self, name: str, layout: LayoutT) -> None:
        """Make it."""

    async def _complete(self, name: str, layout: LayoutT) -> None:
        """Make what may be missing of one whose creation had no answer."""

    @abstractmethod
    async def _raise(self, name: str) -> None:
        """Give it its first version."""

    @abstractmethod
    async def _drop(self, name: str) -> None:
        """Remove it."""

    @abstractmethod
    async def _counted(self, name: str) -> tuple[int, int]:
        """Give how many documents it has, and its version."""

    async def layout(self, name: str, *, anew: bool = False) -> LayoutT:
        """Tell what is fixed about a collection, or raise `UnknownCollection`.

        Args:
            name: Whatever a caller wrote.
            anew: Nothing that is remembered is good enough.

        """
        if not COLLECTION_NAME.fullmatch(name):
            message = f"there is no collection {name[:64]!r}"
            raise UnknownCollection(message)
        now = asyncio.get_running_loop().time()
        known = self._known.get(name)
        if known is not None and not anew and now < known.until:
            return known.layout
        self.forget(name)
        layout = await self._read(name, anew=anew)
        self._known[name] = _Known(layout, now + _KNOWN_FOR_S)
        return layout

    def forget(self, name: str) -> None:
        """Look again when it is asked for."""
        self._known.pop(name, None)

    async def make(
        self, name: str, *, fields: tuple[Field, ...], dimension: int, embedder: str
    ) -> Collection:
        """Make a collection that there is not."""
        if not COLLECTION_NAME.fullmatch(name):
            message = f"{name[:64]!r} is no name of a collection"
            raise ValueError(message)
        if await self._exists(name):
            message = f"there is a collection {name!r} already"
            raise CollectionExists(message)
        layout = self._laid_out(fields, dimension, embedder, datetime.now(UTC))
        try:
            await self._create(name, layout)
        except EngineFailed as error:
            # It was made in the meantime: by somebody else, or by a call of ours that was
            # made again since its answer was lost.
            if not await self._exists(name):
                raise
            if await self._read(name, anew=True) != layout:
                message = f"there is a collection {name!r} already"
                raise CollectionExists(message) from error
            await self._complete(name, layout)
        await self._raise(name)
        self.forget(name)
        return await self.describe(name)

    async def remove(self, name: str) -> None:
        """Remove a collection."""
        await self.layout(name, anew=True)
        self.forget(name)
        await self._drop(name)

    async def describe(self, name: str) -> Collection:
        """Say what a collection is and how large."""
        layout = await self.layout(name, anew=True)
        document_count, version = await self._counted(name)
        return Collection(
            name=name,
            fields=layout.fields,
            dimension=layout.dimension,
            embedder=layout.embedder,
            document_count=document_count,
            version=version,
            created=layout.created,
        )

    async def describe_all(self) -> tuple[Collection, ...]:
        """Describe those of ours, by name ascending."""
        names = [
            each for each in await self._names() if COLLECTION_NAME.fullmatch(each)
        ]
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
