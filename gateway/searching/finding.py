"""Stage 1: search both legs side by side and join what they find.

A leg that fails or is late leaves the other one standing, and the answer says so.
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.backends.errors import FailureReason
from gateway.backends.scorer import Usage
from gateway.contract import Stage, StageOutcome
from gateway.engine_errors import told_to_caller
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    OutOfTime,
    RetrievalUnavailable,
    Violation,
)
from gateway.ranking import candidates
from gateway.ranking.candidates import Retrieved
from gateway.retrieval.brought import brought_vector
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.retriever import Retriever, Shape
from gateway.searching.contract import Fusion, Mode, Search
from gateway.searching.in_time import in_time
from gateway.searching.legs import IN_WORDS, Legs, Plan, Work

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

# What of the time that is left may be spent on looking up scores.
_SHARE_OF_SCORES = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What was found, best first."""

    documents: tuple[Retrieved, ...]
    base: str
    """How: the first word of a `search_method`."""
    version: int
    stages: tuple[Stage, ...]
    failures: tuple[str, ...]
    """In words: each leg that was wanted and did not serve."""
    vector: "Vector | None"
    """The query's, where it is known."""
    space: str
    """Whose vectors these are; empty: the callers bring them."""
    usage: Usage


class Finding:
    """Finds candidates in a collection.

    Args:
        retriever: Where documents are.
        embedder: Makes vectors of queries; None: only callers bring vectors.

    """

    def __init__(self, *, retriever: Retriever, embedder: Embedder | None) -> None:
        self._retriever = retriever
        self._legs = Legs(retriever=retriever, embedder=embedder)

    async def find(self, ask: Search, plan: Plan) -> Candidates:
        """Search what is wanted, as far as it can be searched.

        Raises:
            GatewayError: The collection, the filter, the vector or the version is not
                there or does not fit; or no leg could be searched.

        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        with told_to_caller(ask.collection, min_version=ask.min_version):
            work = Work(await self._retriever.shape(ask.collection))
            wanted = _wanted(ask, plan, work.shape)
            work.vector = _brought(ask, work.shape)
            # A mode that names one leg is served by the other one, if it must be.
            instead = _possible(ask, work.shape) - wanted
            await self._legs.search(ask, plan, work, wanted, instead)
            if not work.hits:
                raise _nothing(work)
            found, base, doubt = await self._joined(ask, plan, work)
        failures = tuple(
            f"{IN_WORDS[leg]} failed: {said}" for leg, (_, said) in work.failed.items()
        )
        reasons = [reason for reason, _ in work.failed.values()]
        retrieve = Stage(
            name="retrieve",
            outcome=(StageOutcome.DEGRADED if failures or doubt else StageOutcome.OK),
            reason=reasons[-1] if reasons else None,
            duration_s=loop.time() - began,
            detail="; ".join((*failures, doubt) if doubt else failures),
        )
        return Candidates(
            documents=tuple(found),
            base=base,
            version=min(work.versions),
            stages=(work.embedding, retrieve) if work.embedding else (retrieve,),
            failures=failures,
            vector=work.vector,
            space=work.shape.embedder,
            usage=work.usage,
        )

    async def _joined(
        self, ask: Search, plan: Plan, work: Work
    ) -> tuple[list[Retrieved], str, str]:
        """Give one list, how it was made, and why not as was wanted."""
        bm25, vector = work.hits.get(Mode.FULLTEXT), work.hits.get(Mode.VECTOR)
        if vector is None:
            return candidates.by_words(bm25 or {}), "fulltext", ""
        if bm25 is None:
            return candidates.by_vector(vector), "vector", ""
        doubt = ""
        if plan.fusion is Fusion.ZSCORE:
            alone = sorted(bm25.keys() ^ vector.keys())
            try:
                now = asyncio.get_running_loop().time()
                scored = await in_time(
                    self._retriever.scores(
                        ask.collection, alone, text=ask.query, vector=work.vector
                    ),
                    # The rest of the time is for what comes after.
                    until=now + _SHARE_OF_SCORES * (plan.deadline - now),
                )
            except RetrieverError as error:
                doubt = f"joined by ranks, since scores cannot be looked up: {error}"
            else:
                looked_up = {
                    name: (each.bm25, each.cosine) for name, each in scored.items()
                }
                found = candidates.by_zscores(
                    bm25, vector, looked_up=looked_up, weights=plan.weights
                )
                return found, "zscore_hybrid", ""
        found = candidates.by_rrf(
            bm25,
            vector,
            k=ask.retrieval.rrf_k,
            weights=plan.weights,
            min_rrf_score=ask.retrieval.min_rrf_score,
        )
        return found, "rrf_hybrid", doubt


def _wanted(ask: Search, plan: Plan, shape: Shape) -> set[Mode]:
    """Tell which legs the caller wants and the collection has."""
    if not shape.dimension:
        if not ask.query.strip():
            said = "is of no use: the collection has no vectors"
            raise InvalidRequest((Violation("embedding", said),))
        return {Mode.FULLTEXT}
    if not ask.query.strip():
        return {Mode.VECTOR}
    if ask.retrieval.mode is not Mode.HYBRID:
        return {ask.retrieval.mode}
    legs = set()
    if plan.weights.bm25:
        legs.add(Mode.FULLTEXT)
    # Nobody can make the vector that its callers bring: this one brought none.
    if plan.weights.vector and (ask.embedding or shape.embedder):
        legs.add(Mode.VECTOR)
    return legs or {Mode.FULLTEXT}


def _possible(ask: Search, shape: Shape) -> set[Mode]:
    """Tell which legs the request has what it needs for."""
    legs = set()
    if ask.query.strip():
        legs.add(Mode.FULLTEXT)
    if shape.dimension and (ask.embedding or (ask.query.strip() and shape.embedder)):
        legs.add(Mode.VECTOR)
    return legs


def _brought(ask: Search, shape: Shape) -> "Vector | None":
    if not ask.embedding or not shape.dimension:
        return None
    try:
        return brought_vector(ask.embedding)
    except ValueError as error:
        raise InvalidRequest((Violation("embedding", str(error)),)) from error


def _nothing(work: Work) -> GatewayError:
    reasons = {reason for reason, _ in work.failed.values()}
    if reasons == {FailureReason.DEADLINE}:
        return OutOfTime()
    said = "; ".join(
        f"{IN_WORDS[leg]} failed: {said}" for leg, (_, said) in work.failed.items()
    )
    embedder = work.embedding is not None and work.embedding.reason is not None
    only_embedder = embedder and len(work.failed) == 1
    return RetrievalUnavailable(
        said, component="embedder" if only_embedder else "engine"
    )
