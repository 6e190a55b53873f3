"""Copy a collection that may be written to meanwhile: pass after pass, only what changed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.cli.copy_state import Copied
from gateway.cli.listing import documents_of, listed
from gateway.cli.patience import patiently
from gateway.concurrency import ended
from rerank.v1 import collection_pb2, document_pb2, document_service_pb2

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub

_CALL_S = 300.0
_MOST_IDS = 1000

Documents = Sequence[document_pb2.Document]


class Vanished(Exception):
    """A collection is not there any more."""


@dataclass(slots=True)
class Pass:
    """What one pass through the source did."""

    seen: int = 0
    stored: int = 0
    removed: int = 0
    rejected: list[str] = field(default_factory=list)
    """Each in words."""

    @property
    def changed(self) -> bool:
        """Whether the target is another than before."""
        return bool(self.stored or self.removed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How both collections stand in the end."""

    passes: tuple[Pass, ...]
    source: collection_pb2.Collection
    target: collection_pb2.Collection
    settled: bool
    """The source was not written to during the last pass, or the pass found nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A collection at a gateway."""

    stub: "DocumentServiceAsyncStub"
    name: str

    async def described(self) -> collection_pb2.Collection | None:
        """Describe it; None: it is not there."""
        found = await patiently(lambda: listed(self.stub))
        return next((each for each in found if each.name == self.name), None)

    async def there(self) -> collection_pb2.Collection:
        """Describe it, or raise `Vanished`."""
        found = await self.described()
        if found is None:
            message = f"collection {self.name}: was removed meanwhile"
            raise Vanished(message)
        return found


class Copying:
    """Copies from one side to the other.

    Args:
        source: Only read.
        target: Made alike before.
        copied: What it has already.
        batch: Documents in one message.
        with_vectors: Whether their vectors go with them.
        show: Told how many documents of the source have been seen in this pass.

    """

    def __init__(
        self,
        source: Side,
        target: Side,
        copied: Copied,
        *,
        batch: int,
        with_vectors: bool,
        show: Callable[[Pass], None],
    ) -> None:
        self._source = source
        self._target = target
        self._copied = copied
        self._batch = batch
        self._with_vectors = with_vectors
        self._show = show

    async def run(self, *, most_passes: int) -> Outcome:
        """Go through the source until nothing has changed meanwhile.

        Raises:
            grpc.RpcError: A gateway refuses, or stays away.
            Vanished: A collection was removed.

        """
        passes: list[Pass] = []
        settled = False
        while not settled and len(passes) < most_passes:
            before = await self._source.there()
            passes.append(await self._pass())
            after = await self._source.there()
            # A version may grow with housekeeping, too: then the next pass settles it.
            settled = before.version == after.version or not passes[-1].changed
        target = await self._target.there()
        return Outcome(tuple(passes), after, target, settled)

    async def _pass(self) -> Pass:
        done = Pass()
        self._copied.begin()
        async for documents in self._pages():
            changed = self._copied.changed(documents)
            if changed:
                await self._store(changed, done)
            done.seen += len(documents)
            self._show(done)
        # Only a pass that came to its end knows what is not there any more.
        while gone := self._copied.gone(_MOST_IDS):
            removing = document_service_pb2.DeleteDocumentsRequest(
                collection=self._target.name, ids=gone
            )
            removed = await patiently(
                lambda request=removing: self._target.stub.DeleteDocuments(  # type: ignore[misc]  # bound now
                    request, timeout=_CALL_S
                )
            )
            done.removed += removed.deleted_count
            self._copied.forget(gone)
        return done

    async def _store(self, documents: Documents, done: Pass) -> None:
        request = document_service_pb2.ImportDocumentsRequest(
            collection=self._target.name, documents=documents
        )

        async def store() -> document_service_pb2.ImportDocumentsResponse:
            call = self._target.stub.ImportDocuments(iter([request]), timeout=_CALL_S)
            answers = [each async for each in call]
            return answers[0]

        answer = await patiently(store)
        rejected = {each.index for each in answer.rejected}
        self._copied.add(
            each for place, each in enumerate(documents) if place not in rejected
        )
        # Or a document that was stored once and is refused now would be removed.
        self._copied.seen(documents[place].id for place in rejected)
        done.stored += answer.accepted_count
        done.rejected += [f"{each.id}: {each.message}" for each in answer.rejected]

    async def _pages(self) -> AsyncIterator[Documents]:
        """Give the pages of the source, and read each while the one before is stored."""
        pages = documents_of(
            self._source.stub,
            self._source.name,
            at_most=self._batch,
            with_vectors=self._with_vectors,
        )
        ahead = asyncio.create_task(_next(pages))
        try:
            while (page := await ahead) is not None:
                ahead = asyncio.create_task(_next(pages))
                yield page
        finally:
            await ended(ahead)


async def _next(pages: AsyncIterator[Documents]) -> Documents | None:
    return await anext(pages, None)
