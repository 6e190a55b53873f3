"""What a search will do, from what it asks and what its route says."""

from dataclasses import dataclass

from gateway.ranking import method
from gateway.ranking.candidates import Weights, weights_for
from gateway.searching.contract import (
    DEFAULT_CANDIDATES,
    Fusion,
    MmrStage,
    Mode,
    Search,
)
from gateway.searching.legs import Plan

# What the legs may use of the time, where reranking comes after them.
_SHARE_OF_LEGS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRoute:
    """How searches over one route go, where the request does not say."""

    enabled: bool
    """Whether to rerank."""
    fusion: Fusion
    adaptive_weights: bool
    timeout_s: float
    """For the rerank."""
    top_k: int
    """The most documents that any backend of the route scores by itself."""


def plan_of(
    ask: Search, route: SearchRoute, depth: int, now: float, until: float
) -> Plan:
    """Fill in what the request leaves to its route.

    Args:
        ask: What is asked.
        route: What its route says.
        depth: How many documents are to be scored; 0: none.
        now: In event-loop seconds.
        until: When stage 1 must have ended, likewise.

    """
    wish = ask.retrieval
    adaptive = wish.adaptive_weights
    weights = Weights(1.0, 1.0)
    if route.adaptive_weights if adaptive is None else adaptive:
        weights = weights_for(ask.query)
    share = _SHARE_OF_LEGS if depth else 1.0
    return Plan(
        candidates=wish.candidates
        or max(DEFAULT_CANDIDATES, ask.limit + ask.offset, depth),
        fusion=wish.fusion or route.fusion,
        weights=Weights(
            bm25=weights.bm25 if wish.bm25_weight is None else wish.bm25_weight,
            vector=weights.vector if wish.vector_weight is None else wish.vector_weight,
        ),
        soft_deadline=now + (until - now) * share,
        deadline=until,
    )


def requested_method(ask: Search, plan: Plan, *, wants_rerank: bool) -> str:
    """Name the method of the answer if every stage that is wanted succeeds."""
    base = f"{plan.fusion.lower()}_hybrid"
    if ask.retrieval.mode is not Mode.HYBRID:
        base = ask.retrieval.mode.lower()
    if not ask.query.strip():
        base = "vector"
    return method.requested(
        base,
        rerank=wants_rerank,
        mmr=ask.mmr is not None,
        mmr_first=ask.mmr is not None and ask.mmr.stage is MmrStage.BEFORE_RERANK,
    )
