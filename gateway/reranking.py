"""The use case Rerank: route, score, order, and say truthfully what happened."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from gateway import report
from gateway.backends.errors import BackendError
from gateway.backends.scorer import (
    CacheWish,
    Candidate,
    Payer,
    Scorer,
    ScoreRequest,
)
from gateway.backends.unpaid import QuotaExceeded
from gateway.contract import Document, Rerank, Reranked
from gateway.departures import Departures
from gateway.errors import RerankFailed, UnknownRoute, UsedUp
from gateway.identity.caller import caller
from gateway.observing import UNOBSERVED, Observer
from gateway.rows import rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A name that callers use for one way of reranking."""

    scorer: Scorer
    backends: tuple[str, ...]
    """Their names, in the order in which they are asked."""
    timeout_s: float
    top_k: int | None
    min_score: float | None
    backend_min_scores: Mapping[str, float]
    """Thresholds of backends that carry their own: two models differ in calibration."""
    passages: int
    """Of one document at most, where long documents are split; 0: they are not."""
    shares_cache: bool = False
    """Whether tenants share what is remembered of its scores."""
    takes_partial: bool
    """Where the time is over, scores of the first documents are better than none."""

    cache_ttl_s: float | None
    """How old a remembered score may be, where the caller does not say."""

    def cache(self, wish: CacheWish) -> CacheWish:
        """Give the caller's wish, with the route's age where it names none."""
        if wish.ttl_s is None and self.cache_ttl_s is not None:
            return replace(wish, ttl_s=self.cache_ttl_s)
        return wish

    def threshold(self, asked: float | None, backend: str) -> float | None:
        """Give the caller's threshold, else the backend's own, else the route's."""
        if asked is not None:
            return asked
        return self.backend_min_scores.get(backend, self.min_score)


@dataclass(frozen=True, slots=True)
class Reserve:
    """How much of a caller's deadline is kept back, so that the answer arrives in time."""

    share: float
    least_s: float

    def of(self, remaining_s: float) -> float:
        """Give the part of what remains that no backend may use, in seconds."""
        return max(remaining_s * self.share, self.least_s)


class Reranking:
    """Orders the documents of one request.

    Args:
        routes: By name.
        reserve: What of a caller's deadline is kept for the way back.
        observer: Watches each rerank.
        departures: The timetable of this process; None: one of its own.

    """

    def __init__(
        self,
        *,
        routes: Mapping[str, Route],
        reserve: Reserve,
        observer: Observer = UNOBSERVED,
        departures: Departures | None = None,
    ) -> None:
        self._routes = routes
        self._reserve = reserve
        self._observer = observer
        self._departures = departures or Departures()

    async def rerank(self, ask: Rerank) -> Reranked:
        """Answer with an order, whatever the backends do.

        Raises:
            UnknownRoute: The route is not configured.
            RerankFailed: No backend scored, and the order is not to be kept.

        """
        route = self._route(ask.route)
        began = asyncio.get_running_loop().time()
        latest, earliest = self._times(ask, route, began)
        with self._observer.rerank(ask, budget_s=latest - began) as tell:
            indexes, candidates = _candidates(ask.documents)
            if not candidates:
                reranked = report.nothing_to_score(ask, _since(began))
            else:
                with self._departures.booked(
                    latest=latest, earliest=earliest, documents=len(ask.documents)
                ) as deadline:
                    reranked = await self._scored(
                        ask, route, indexes, candidates, began=began, deadline=deadline
                    )
            tell(reranked)
            return reranked

    def backends(self, route: str) -> tuple[str, ...]:
        """Name those that a route asks, in that order.

        Raises:
            UnknownRoute: The route is not configured.

        """
        return self._route(route).backends

    def budget(self, ask: Rerank) -> Callable[[float | None], float]:
        """Give what tells how long the same call may take, if it comes again.

        It takes what remains of the caller's deadline; None: there is none.
        """
        timeout_s = _timeout_s(ask, self._routes[ask.route])
        kept_s = self._reserve.of

        def budget_s(remaining_s: float | None) -> float:
            if remaining_s is None:
                return timeout_s
            return min(timeout_s, remaining_s - kept_s(remaining_s))

        return budget_s

    def _route(self, name: str) -> Route:
        route = self._routes.get(name)
        if route is None:
            raise UnknownRoute(name)
        return route

    async def _scored(
        self,
        ask: Rerank,
        route: Route,
        indexes: Sequence[int],
        candidates: tuple[Candidate, ...],
        *,
        began: float,
        deadline: float,
    ) -> Reranked:
        """Ask the route, and take the order received where it gives no scores."""
        request = ScoreRequest(
            query=ask.query,
            documents=candidates,
            deadline=deadline,
            query_embedding=ask.query_embedding,
            instruction=ask.instruction,
            depth=route.top_k if ask.top_k is None else ask.top_k,
            cache=route.cache(ask.cache),
            lookup=ask.lookup,
            space=ask.space,
            scope="" if route.shares_cache else caller.get().tenant,
            caller=ask.caller,
            payer=Payer("", ask.labels) if ask.labels else None,
            takes_partial=route.takes_partial,
            passages=route.passages,
        )
        try:
            scores = await route.scorer.score(request)
        except BackendError as error:
            fallen = report.fell_back(ask, error, _since(began))
            if ask.keep_order:
                return fallen
            raise RerankFailed(
                fallen.message,
                fallen.execution,
                transient=error.transient,
                retry_after_s=error.retry_after_s,
                quota=_quota(error),
            ) from error
        return report.scored(
            ask,
            scores,
            indexes,
            min_score=route.threshold(ask.min_score, scores.backend),
            duration_s=_since(began),
        )

    def _times(self, ask: Rerank, route: Route, now: float) -> tuple[float, float]:
        """Plan when to stop waiting for scores: at the latest, and at the earliest."""
        until = min(now + _timeout_s(ask, route), ask.until)
        if ask.deadline is None:
            return until, until
        remaining_s = ask.deadline - now
        latest = min(until, ask.deadline - self._reserve.of(remaining_s))
        # Half of the time is for scoring, however many calls there are.
        return latest, min(latest, now + remaining_s / 2)


def _candidates(
    documents: Sequence[Document],
) -> tuple[Sequence[int], tuple[Candidate, ...]]:
    """Give the places of the documents that have a text, and what a model is asked."""
    texts = [
        each.read_by_model if each.title else each.text  # without a call, mostly
        for each in documents
    ]
    vectors = [each.embedding for each in documents]
    candidates = rows(Candidate, texts, count(1), vectors)
    if all(texts) and not any(map(str.isspace, texts)):  # as nearly always
        return range(len(texts)), tuple(candidates)
    kept = [each for each in candidates if each.text and not each.text.isspace()]
    return [each.rank - 1 for each in kept], tuple(kept)


def _timeout_s(ask: Rerank, route: Route) -> float:
    return route.timeout_s if ask.timeout_s is None else ask.timeout_s


def _quota(error: BackendError) -> UsedUp | None:
    if isinstance(error, QuotaExceeded):
        return UsedUp(error.quota, error.limit)
    return None


def _since(began: float) -> float:
    return asyncio.get_running_loop().time() - began
