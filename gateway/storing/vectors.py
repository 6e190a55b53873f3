"""The vectors that documents do not bring, from the server's embedder."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.backends.errors import BackendError, TooLarge
from gateway.backends.unpaid import QuotaExceeded
from gateway.errors import GatewayError, OverQuota, RetrievalUnavailable, UsedUp
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose
from gateway.retrieval.retriever import Shape
from gateway.storing.batches import Accepted, Rejected, RejectionReason

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

_PROBE = "How many numbers does the vector of this text have?"


@dataclass(frozen=True, slots=True)
class Space:
    """Whose vectors an embedder gives."""

    name: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Computed:
    """The vectors of documents, and who gets none."""

    vectors: "dict[int, Vector]"
    """By the places of the documents in their batch."""
    rejected: tuple[Rejected, ...]


class Computing:
    """Computes vectors, and only for collections that they are comparable in.

    Args:
        embedder: Whom to ask.
        timeout_s: How long the vectors of one batch may take.

    """

    def __init__(self, *, embedder: Embedder, timeout_s: float) -> None:
        self._embedder = embedder
        self._timeout_s = timeout_s
        self._space: Space | None = None

    async def space(self) -> Space:
        """Tell whose vectors these are, as it was last seen; ask if it never was.

        Raises:
            RetrievalUnavailable: The embedder does not answer.
            OverQuota: The caller may use no more of it.

        """
        return self._space or await self._probe()

    async def serves(self, shape: Shape) -> bool:
        """Tell whether the vectors belong into a collection, as far as it is known.

        Raises:
            RetrievalUnavailable: The embedder does not answer.
            OverQuota: The caller may use no more of it.

        """
        wanted = Space(shape.embedder, shape.dimension)
        # Asked again before it is held against anyone: it may be another model by now.
        return self._space == wanted or await self._probe() == wanted

    async def compute(self, accepted: Sequence[Accepted], shape: Shape) -> Computed:
        """Compute the vectors of all documents that need one.

        Raises:
            RetrievalUnavailable: The embedder does not answer.
            OverQuota: The caller may use no more of it.

        """
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        needing = [each for each in accepted if each.to_embed]
        return await self._part(needing, shape, deadline)

    async def _part(
        self, accepted: Sequence[Accepted], shape: Shape, deadline: float
    ) -> Computed:
        if not accepted:
            return Computed({}, ())
        try:
            found = await self._ask([each.to_embed for each in accepted], deadline)
        except TooLarge as error:
            if len(accepted) == 1:
                return Computed({}, _without_vector(accepted, str(error)))
            # One text that is too long must not keep the others of its batch out.
            half = len(accepted) // 2
            first = await self._part(accepted[:half], shape, deadline)
            second = await self._part(accepted[half:], shape, deadline)
            return Computed(
                first.vectors | second.vectors, first.rejected + second.rejected
            )
        except BackendError as error:
            raise _to_caller(error) from error
        if _space_of(found) != Space(shape.embedder, shape.dimension):
            return Computed(
                {}, _without_vector(accepted, "the embedder is another one")
            )
        rows = zip(accepted, found.vectors, strict=True)
        return Computed({each.index: row for each, row in rows}, ())

    async def _probe(self) -> Space:
        deadline = asyncio.get_running_loop().time() + self._timeout_s
        try:
            return _space_of(await self._ask([_PROBE], deadline))
        except BackendError as error:
            raise _to_caller(error) from error

    async def _ask(self, texts: Sequence[str], deadline: float) -> Embeddings:
        found = await self._embedder.embed(
            texts, purpose=Purpose.DOCUMENT, deadline=deadline
        )
        self._space = _space_of(found)
        return found


def _to_caller(error: BackendError) -> GatewayError:
    if isinstance(error, QuotaExceeded):
        used_up = UsedUp(error.quota, error.limit)
        return OverQuota(used_up, retry_after_s=error.retry_after_s or 0.0)
    return RetrievalUnavailable(str(error), component="embedder")


def _space_of(found: Embeddings) -> Space:
    return Space(found.space, found.dimension)


def _without_vector(accepted: Sequence[Accepted], why: str) -> tuple[Rejected, ...]:
    message = f"it has no vector, and {why}"
    reason = RejectionReason.INVALID_EMBEDDING
    return tuple(
        Rejected(each.index, each.document.id, reason, message) for each in accepted
    )
