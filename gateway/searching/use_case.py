"""The use case Search: find, make diverse, rerank, and say truthfully what happened."""

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from gateway.admitting import EVERYBODY, Admitting
from gateway.backends.scorer import Evidence, Lookup
from gateway.contract import Document, Outcome, Rerank, Reranked
from gateway.engine_errors import told_to_caller
from gateway.errors import OutOfTime, UnknownRoute
from gateway.observing import UNOBSERVED, Observer
from gateway.reranking import Reranking, Reserve
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.retriever import Retriever
from gateway.searching.answer import answer
from gateway.searching.contract import (
    DEFAULT_CANDIDATES,
    Fusion,
    Search,
    Searched,
)
from gateway.searching.course import Course
from gateway.searching.finding import Finding
from gateway.searching.in_time import in_time
from gateway.searching.planning import SearchRoute, plan_of, requested_method

if TYPE_CHECKING:
    from gateway.retrieval.retriever import Vector

# What of the rest the vectors for MMR may, where it comes before reranking.
_SHARE_OF_VECTORS = 0.5


class Searching:
    """Answers one search.

    Args:
        retriever: Where documents are.
        finding: Stage 1.
        reranking: Stage 2.
        routes: By name.
        reserve: What of a caller's deadline is kept for the way back.
        timeout_s: How long stage 1 may take where the caller sets no time.
        observer: Watches each stage.
        admitting: Bounds how much a caller asks.

    """

    def __init__(
        self,
        *,
        retriever: Retriever,
        finding: Finding,
        reranking: Reranking,
        routes: Mapping[str, SearchRoute],
        reserve: Reserve,
        timeout_s: float,
        observer: Observer = UNOBSERVED,
        admitting: Admitting = EVERYBODY,
    ) -> None:
        self._admitting = admitting
        self._observer = observer
        self._retriever = retriever
        self._finding = finding
        self._reranking = reranking
        self._routes = routes
        self._reserve = reserve
        self._timeout_s = timeout_s

    async def search(self, ask: Search) -> Searched:
        """Answer once.

        Raises:
            GatewayError: Nothing could be searched, or the rerank failed and the order
                before it is not wanted; or the caller asks too much, and there is no
                rerank that could be left out.

        """
        with self._admitted(ask):
            course, to_score = await self._before_reranking(ask)
            return await self._reranked(ask, course, to_score)

    async def progressively(self, ask: Search) -> AsyncGenerator[Searched, None]:
        """Answer twice: with the order before reranking, and then as `search` does."""
        with self._admitted(ask):
            course, to_score = await self._before_reranking(ask)
            yield answer(course, Outcome.PENDING, now=_now())
            yield await self._reranked(ask, course, to_score)

    def _admitted(self, ask: Search) -> AbstractContextManager[None]:
        wants_rerank = self._wants_rerank(ask, self._route(ask))
        return self._admitting.reranking() if wants_rerank else self._admitting.one()

    async def _before_reranking(self, ask: Search) -> tuple[Course, list[int]]:
        """Find, make diverse if that comes first, and bring what is to be scored."""
        route = self._route(ask)
        wants_rerank = self._wants_rerank(ask, route)
        began = _now()
        until = self._until(ask, began)
        if until <= began:
            raise OutOfTime
        depth = (ask.rerank.top_k or route.top_k) if wants_rerank else 0
        plan = plan_of(ask, route, depth, began, until)
        with self._observer.retrieval(
            requested=requested_method(ask, plan, wants_rerank=wants_rerank)
        ) as tell:
            found = await self._finding.find(ask, plan)
            tell(found)
        course = Course(ask, found, began=began, wants_rerank=wants_rerank)
        if mmr := course.mmr_first:
            share = _SHARE_OF_VECTORS if wants_rerank else 1.0
            with self._observer.diversity() as said:
                began = _now()
                vectors = await self._vectors(ask, course, course.order, share=share)
                course.diversify(mmr, vectors, duration_s=_now() - began)
                said(course.stages[-1])
        await self._bring(ask, course, depth=depth)
        return course, course.to_score(depth)

    async def _reranked(
        self, ask: Search, course: Course, places: Sequence[int]
    ) -> Searched:
        if course.wants_rerank:
            course.rerank(places, await self._rerank(ask, course, places))
            if ask.mmr and not course.mmr_first:
                with self._observer.diversity() as said:
                    began = _now()
                    scored = course.scored
                    vectors = await self._vectors(ask, course, scored, share=1.0)
                    course.diversify_scored(ask.mmr, vectors, duration_s=_now() - began)
                    said(course.stages[-1])
        await self._bring(ask, course, depth=0)
        return answer(course, Outcome.NOT_REQUESTED, now=_now())

    async def _rerank(
        self, ask: Search, course: Course, places: Sequence[int]
    ) -> Reranked:
        wish, timeout_s = ask.rerank, self._route(ask).timeout_s
        if wish.timeout_s is not None:
            timeout_s = min(timeout_s, wish.timeout_s)
        documents = [course.documents[course.id_of(place)] for place in places]
        return await self._reranking.rerank(
            Rerank(
                query=ask.query,
                documents=tuple(
                    Document(
                        id=each.id,
                        title=each.title,
                        text=each.text,
                        group_id=each.group_id,
                    )
                    for each in documents
                ),
                route=wish.route,
                top_k=wish.top_k,
                min_score=wish.min_score,
                timeout_s=timeout_s,
                deadline=ask.deadline,
                until=self._end(ask, course.began),
                found_by=course.method,
                instruction=wish.instruction,
                cache=wish.cache,
                keep_order=ask.keep_order,
                lookup=self._lookup(ask, course, places),
                space=course.found.space,
                caller=ask.caller,
                labels=ask.labels,
            )
        )

    def _lookup(
        self, ask: Search, course: Course, places: Sequence[int]
    ) -> Lookup | None:
        """Let a scorer ask for what the legs left out; None where there is no vector."""
        vector = course.found.vector
        if vector is None:
            return None

        async def look_up(ranks: Sequence[int]) -> Sequence[Evidence | None]:
            found = [course.found.documents[places[rank - 1]] for rank in ranks]
            known = {each.id: (each.bm25_score, each.vector_score) for each in found}
            unknown = [name for name, scores in known.items() if None in scores]
            if unknown:
                try:
                    scored = await self._retriever.scores(
                        ask.collection, unknown, text=ask.query, vector=vector
                    )
                except RetrieverError:
                    scored = {}  # a scorer that needs them says so
                for each, says in scored.items():
                    known[each] = (says.bm25, says.cosine)
            return [
                None if bm25 is None or cosine is None else Evidence(bm25, cosine)
                for bm25, cosine in (known[each.id] for each in found)
            ]

        return look_up

    async def _vectors(
        self, ask: Search, course: Course, places: Sequence[int], *, share: float
    ) -> "Mapping[str, Vector] | RetrieverError":
        """Bring vectors for MMR, in a share of the time that is left."""
        names = [course.id_of(place) for place in places]
        if not names:
            return {}
        now = _now()
        until = now + share * (self._until(ask, course.began) - now)
        try:
            asked = self._retriever.vectors(ask.collection, names)
            return await in_time(asked, until=until)
        except RetrieverError as error:
            return error  # MMR is left out, and the answer says so

    async def _bring(self, ask: Search, course: Course, *, depth: int) -> None:
        """Bring the documents that are scored or may be in the answer, once each."""
        # Another time only where some were deleted: others take their places.
        while names := course.needs(course.to_score(depth)):
            with told_to_caller(ask.collection):
                documents = await self._retriever.get(
                    ask.collection, names, with_vectors=ask.with_vectors
                )
            course.bring(names, documents)

    @staticmethod
    def _wants_rerank(ask: Search, route: SearchRoute) -> bool:
        wanted = ask.rerank.enabled
        wants_rerank = route.enabled if wanted is None else wanted
        return wants_rerank and bool(ask.query.strip())

    def _route(self, ask: Search) -> SearchRoute:
        route = self._routes.get(ask.rerank.route)
        if route is None:
            if ask.rerank.enabled is not False:
                raise UnknownRoute(ask.rerank.route)
            route = SearchRoute(
                enabled=False,
                fusion=Fusion.RRF,
                adaptive_weights=False,
                timeout_s=self._timeout_s,
                top_k=DEFAULT_CANDIDATES,
            )
        return route

    def _until(self, ask: Search, began: float) -> float:
        """Tell how long the engine may be waited for, in event-loop seconds."""
        return min(_now() + self._timeout_s, self._end(ask, began))

    def _end(self, ask: Search, began: float) -> float:
        """Tell when the answer must be on its way, in event-loop seconds."""
        end = math.inf if ask.timeout_s is None else began + ask.timeout_s
        if ask.deadline is not None:
            # Of the whole time, not of what an earlier stage has left of it.
            whole_s = ask.deadline - began
            end = min(end, ask.deadline - self._reserve.of(whole_s))
        return end


def _now() -> float:
    return asyncio.get_running_loop().time()
