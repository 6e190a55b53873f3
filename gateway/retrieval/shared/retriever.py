"""The `Retriever` of a process beside others: it owns the store, or reads and forwards.

The first that opens the store owns it. When the owner is gone, another one takes its place.
"""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from gateway.retrieval.errors import (
    DamagedStore,
    EngineFailed,
    RetrieverError,
    UnknownCollection,
    WriterTaken,
)
from gateway.retrieval.filter import Field
from gateway.retrieval.retriever import (
    Collection,
    Deleted,
    Document,
    Found,
    Page,
    Query,
    Retriever,
    Scored,
    Shape,
)
from gateway.retrieval.shared.calls import (
    Call,
    Create,
    Delete,
    Done,
    Drop,
    Upsert,
    perform,
)
from gateway.retrieval.shared.forwarding import NobodyListens, ask
from gateway.retrieval.shared.owner import Owner

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float32]

_log = logging.getLogger(__name__)

_POLL_S = 0.05
# How long the first owner may take from the lease to a store that can be read.
_MAKING_S = 1.0


class Engine(Retriever, Protocol):
    """A retriever over a folder that one process writes and others read."""

    async def follow(self, collection: str) -> None:
        """See everything that was written before this call, by whatever process."""


class MakesEngines(Protocol):
    """Makes the engine of one process."""

    def __call__(self, *, writes: bool) -> Engine:
        """Make one that is not open yet."""


@dataclass(slots=True, eq=False)
class _Held:
    """An engine, and whether somebody is using it."""

    engine: Engine
    calls: int = 0
    unused: asyncio.Event = field(default_factory=asyncio.Event)


class OwnedRetriever:
    """A store in a folder that several processes have open.

    Args:
        folder: Where it is.
        engine: Makes what reads and writes there.
        call_s: How long a write may take.
        look_every_s: How often a process that only reads looks whether the owner is gone.

    """

    def __init__(
        self,
        folder: Path,
        *,
        engine: MakesEngines,
        call_s: float,
        look_every_s: float,
    ) -> None:
        self._folder = folder
        self._make = engine
        self._call_s = call_s
        self._look_every_s = look_every_s
        self._held: _Held | None = None
        self._owner: Owner | None = None
        self._looking: asyncio.Task[None] | None = None
        self._missed = asyncio.Event()

    @property
    def owns(self) -> bool:
        """Whether this process is the one that writes."""
        return self._owner is not None

    async def open(self) -> None:
        """Own the store, or read it."""
        now = asyncio.get_running_loop().time
        making_until = now() + _MAKING_S
        while not await self._take_over():
            reading = self._make(writes=False)
            try:
                await reading.open()
            except DamagedStore:
                # There is an owner, so it may be about to make the store.
                if now() >= making_until:
                    raise
                await asyncio.sleep(_POLL_S)
            else:
                self._held = _Held(reading)
                self._looking = asyncio.create_task(self._look())
                return

    async def close(self) -> None:
        """Let another process own it, and end what runs."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.wait([self._looking])
            self._looking = None
        if self._owner is not None:
            await self._owner.close()
            self._owner = None
        if self._held is not None:
            held, self._held = self._held, None
            await held.engine.close()

    async def create_collection(
        self, name: str, *, fields: Sequence[Field], dimension: int, embedder: str
    ) -> Collection:
        """Have it made."""
        await self._write(Create(name, tuple(fields), dimension, embedder))
        return await self.collection(name)

    async def shape(self, name: str) -> Shape:
        """Tell what is fixed about one."""
        with self._use() as engine:
            return await engine.shape(name)

    async def collection(self, name: str) -> Collection:
        """Describe one."""
        with self._use() as engine:
            return await engine.collection(name)

    async def collections(self) -> tuple[Collection, ...]:
        """Describe all of them."""
        with self._use() as engine:
            return await engine.collections()

    async def delete_collection(self, name: str) -> None:
        """Have it removed."""
        await self._write(Drop(name))

    async def upsert(
        self, collection: str, documents: Sequence[Document], *, embedder: str
    ) -> int:
        """Have them stored."""
        call = Upsert(collection, tuple(documents), embedder)
        return (await self._write(call)).version

    async def delete(self, collection: str, ids: Sequence[str]) -> Deleted:
        """Have them removed."""
        done = await self._write(Delete(collection, tuple(ids)))
        return Deleted(done.count, done.version)

    async def get(
        self, collection: str, ids: Sequence[str], *, with_vectors: bool
    ) -> tuple[Document, ...]:
        """Bring documents."""
        with self._use() as engine:
            return await engine.get(collection, ids, with_vectors=with_vectors)

    async def page(
        self, collection: str, *, after: str, count: int, with_vectors: bool
    ) -> Page:
        """Bring a part of them."""
        with self._use() as engine:
            return await engine.page(
                collection, after=after, count=count, with_vectors=with_vectors
            )

    async def vectors(
        self, collection: str, ids: Sequence[str]
    ) -> Mapping[str, "Vector"]:
        """Bring vectors."""
        with self._use() as engine:
            return await engine.vectors(collection, ids)

    async def search(self, collection: str, query: Query) -> Found:
        """Search, in this process."""
        with self._use() as engine:
            return await engine.search(collection, query)

    async def scores(
        self, collection: str, ids: Sequence[str], *, text: str, vector: "Vector | None"
    ) -> Mapping[str, Scored]:
        """Look up what a leg left out."""
        with self._use() as engine:
            return await engine.scores(collection, ids, text=text, vector=vector)

    async def _write(self, call: Call) -> Done:
        """Do it here, or have it done, and see it."""
        now = asyncio.get_running_loop().time
        deadline = now() + self._call_s
        while True:
            with self._use() as engine:
                if self._owner is not None:
                    return await perform(call, engine)
            try:
                async with asyncio.timeout_at(deadline):
                    done = await ask(self._folder, call)
                break
            except NobodyListens as error:
                if now() >= deadline:
                    message = f"{self._folder}: no process writes"
                    raise EngineFailed(message) from error
            except TimeoutError as error:
                message = f"{self._folder}: no answer in {self._call_s:g} s"
                raise EngineFailed(message) from error
            self._missed.set()
            await asyncio.sleep(_POLL_S)
        with self._use() as engine, suppress(UnknownCollection):
            await engine.follow(call.collection)
        return done

    async def _take_over(self) -> bool:
        """Own the store if nobody does."""
        engine = self._make(writes=True)
        try:
            await engine.open()
        except WriterTaken:
            return False
        owner = Owner(self._folder, engine, call_s=self._call_s)
        try:
            await owner.open()
        except BaseException:
            await engine.close()
            raise
        before, self._held, self._owner = self._held, _Held(engine), owner
        if before is not None:
            try:
                if before.calls:
                    await before.unused.wait()
            finally:
                await before.engine.close()
        return True

    async def _look(self) -> None:
        """Take over when the owner is gone: somebody has to keep house, too.

        On a task of its own, so that no caller that gives up leaves half an owner.
        """
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._look_every_s):
                    await self._missed.wait()
            self._missed.clear()
            try:
                if await self._take_over():
                    return
            except RetrieverError as error:
                _log.warning("taking over %s: %s", self._folder, error)

    @contextmanager
    def _use(self) -> Iterator[Engine]:
        held = self._held
        if held is None:
            message = f"{self._folder}: is not open"
            raise EngineFailed(message)
        held.calls += 1
        try:
            yield held.engine
        finally:
            held.calls -= 1
            if not held.calls and held is not self._held:
                held.unused.set()
