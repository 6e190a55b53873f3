"""Search legs side by side: words, and the vector of the query, which is made meanwhile.

A leg that fails or is late is written down and leaves the others standing.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.backends.errors import BackendError, FailureReason
from gateway.backends.scorer import Usage
from gateway.contract import Stage, StageOutcome
from gateway.ranking.candidates import Hits, Weights
from gateway.retrieval.embedder import Asking, Embedder, Purpose, asking
from gateway.retrieval.retriever import Leg, Query, Retriever, Shape
from gateway.searching.contract import Fusion, Mode, Search

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

# What of the time may be spent on waiting for a version.
_SHARE_FOR_VERSION = 0.9
# What of the time only the legs that are wanted are waited for, where others can step in.
_SHARE_OF_WANTED = 0.5

IN_WORDS = {Mode.FULLTEXT: "full-text search", Mode.VECTOR: "vector search"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to find, with every default filled in."""

    candidates: int
    """Per leg."""
    fusion: Fusion
    weights: Weights
    soft_deadline: float
    """A leg that is not there by then is left out if the other one is, in event-loop
    seconds."""
    deadline: float
    """When something must have been found at the latest."""


@dataclass(slots=True)
class Work:
    """What became of one search so far."""

    shape: Shape
    hits: dict[Mode, Hits] = field(default_factory=dict)
    failed: dict[Mode, tuple[FailureReason, str]] = field(default_factory=dict)
    versions: list[int] = field(default_factory=list)
    vector: "Vector | None" = None
    usage: Usage = field(default_factory=Usage)
    embedding: Stage | None = None

    def forget(self, legs: set[Mode]) -> None:
        """Leave out what some legs found, or why they did not."""
        for leg in legs:
            self.hits.pop(leg, None)
            self.failed.pop(leg, None)
        if Mode.VECTOR in legs:
            self.embedding = None


class Legs:
    """Searches legs of a collection.

    Args:
        retriever: Where documents are.
        embedder: Makes vectors of queries; None: only callers bring vectors.

    """

    def __init__(self, *, retriever: Retriever, embedder: Embedder | None) -> None:
        self._retriever = retriever
        self._embedder = embedder

    async def search(
        self, ask: Search, plan: Plan, work: Work, wanted: set[Mode], instead: set[Mode]
    ) -> None:
        """Search legs at once; those that are late are cancelled and awaited.

        Args:
            ask: What the caller wants.
            plan: How.
            work: What was found, and what failed, is written here.
            wanted: At least one.
            instead: Others, which are searched too when it is clear that none of those
                serves, or when half of the time is over and none has; what they say
                counts only if none does.

        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        soft_deadline = plan.soft_deadline
        if instead:
            half = began + (plan.deadline - began) * _SHARE_OF_WANTED
            soft_deadline = min(soft_deadline, half)
        tasks = self._started(ask, plan, work, wanted)
        try:
            _, late = await asyncio.wait(
                tasks,
                timeout=max(soft_deadline - began, 0.0),
                return_when=asyncio.FIRST_EXCEPTION,
            )
            if instead and not work.hits and not _raised(tasks):
                more = self._started(ask, plan, work, instead)
                tasks |= more
                late |= more.keys()
            while (
                late
                and not work.hits
                and not _raised(tasks)
                and loop.time() < plan.deadline
            ):
                _, late = await asyncio.wait(
                    late,
                    timeout=plan.deadline - loop.time(),
                    return_when=asyncio.FIRST_COMPLETED,
                )
            for task in late:
                said = f"no answer in {loop.time() - began:.2f} s"
                work.failed[tasks[task]] = (FailureReason.DEADLINE, said)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in tasks:
            if not task.cancelled():
                task.result()  # what is the caller's mistake, or ours, is raised
        if wanted & work.hits.keys():
            work.forget(instead)

    def _started(
        self, ask: Search, plan: Plan, work: Work, legs: set[Mode]
    ) -> "dict[asyncio.Task[None], Mode]":
        running: dict[Mode, Coroutine[Any, Any, None]] = {}
        if Mode.FULLTEXT in legs:
            running[Mode.FULLTEXT] = self._leg(Mode.FULLTEXT, ask, plan, work)
        if Mode.VECTOR in legs:
            running[Mode.VECTOR] = self._vector_leg(ask, plan, work)
        return {asyncio.create_task(each): leg for leg, each in running.items()}

    async def _vector_leg(self, ask: Search, plan: Plan, work: Work) -> None:
        if work.vector is None:
            work.vector = await self._embedded(ask, plan, work)
        if work.vector is not None:
            await self._leg(Mode.VECTOR, ask, plan, work)

    async def _embedded(self, ask: Search, plan: Plan, work: Work) -> "Vector | None":
        loop = asyncio.get_running_loop()
        began = loop.time()
        space, problem, reason = work.shape.embedder, "", FailureReason.MISCONFIGURED
        vector: Vector | None = None
        if not space:
            problem = "the collection's vectors are brought by its callers"
        elif self._embedder is None:
            problem = "the server has no embedder"
        else:
            # In a task of this leg's own, and so for nobody else.
            asking.set(Asking(labels=ask.labels))
            try:
                embeddings = await self._embedder.embed(
                    [ask.query], purpose=Purpose.QUERY, deadline=plan.deadline
                )
            except BackendError as error:
                problem, reason = str(error), error.reason
            else:
                work.usage = embeddings.usage
                vector = embeddings.vectors[0]
                if embeddings.space != space:
                    vector = None
                    problem = (
                        f"the collection's vectors are of {space!r},"
                        f" the server's of {embeddings.space!r}"
                    )
        if problem:
            work.failed[Mode.VECTOR] = (reason, problem)
        work.embedding = Stage(
            name="embed",
            outcome=StageOutcome.FAILED if problem else StageOutcome.OK,
            reason=reason if problem else None,
            duration_s=loop.time() - began,
            detail=problem,
        )
        return vector

    async def _leg(self, leg: Mode, ask: Search, plan: Plan, work: Work) -> None:
        vector = work.vector if leg is Mode.VECTOR else None
        now = asyncio.get_running_loop().time()
        found = await self._retriever.search(
            ask.collection,
            Query(
                text=ask.query if leg is Mode.FULLTEXT else "",
                vector=vector,
                embedder="" if ask.embedding or vector is None else work.shape.embedder,
                candidates=plan.candidates,
                filter=ask.filter,
                min_version=ask.min_version,
                # Before the whole time is over, or it could not be told.
                deadline=now + _SHARE_FOR_VERSION * (plan.deadline - now),
            ),
        )
        searched = found.bm25 if leg is Mode.FULLTEXT else found.vector
        searched = searched or Leg()
        if searched.failure is not None:
            reason = FailureReason.UNAVAILABLE
            work.failed[leg] = (reason, str(searched.failure))
            return
        lowest = ask.retrieval.min_similarity
        work.hits[leg] = {
            hit.id: hit.score
            for hit in searched.hits
            if leg is Mode.FULLTEXT or lowest is None or hit.score >= lowest
        }
        work.versions.append(found.version)


def _raised(tasks: "Iterable[asyncio.Task[None]]") -> bool:
    return any(
        task.done() and not task.cancelled() and task.exception() for task in tasks
    )
