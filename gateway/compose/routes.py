"""The routes of one configuration, for Rerank and for Search."""

from collections.abc import Mapping

from gateway.backends.scorer import Scorer
from gateway.compose.built import Built
from gateway.compose.metering import requests_of
from gateway.layers.admission import Admission
from gateway.layers.fallback import Fallback
from gateway.reranking import Route
from gateway.searching import SearchRoute
from gateway.searching.contract import Fusion
from gateway.settings import Settings
from gateway.tenants.metering import Metering


def rerank_routes(
    settings: Settings, backends: Mapping[str, Built], metered: Metering | None
) -> dict[str, Route]:
    """Give what Rerank looks up, by name."""
    requests = requests_of(metered)

    def admitted(scorer: Scorer) -> Scorer:
        return Admission(scorer, requests=requests) if requests else scorer

    min_scores = {
        name: backend.min_score
        for name, backend in settings.backends.items()
        if backend.min_score is not None
    }
    return {
        name: Route(
            # Above Fallback: another backend is no way round a tenant's rate.
            scorer=admitted(
                Fallback(tuple(backends[each].scorer for each in route.backends))
            ),
            backends=tuple(route.backends),
            timeout_s=route.timeout_s,
            top_k=route.top_k,
            min_score=route.min_score,
            backend_min_scores=min_scores,
            cache_ttl_s=route.cache_ttl_s,
            passages=(
                route.max_passages if route.long_documents == "max_passage" else 0
            ),
            shares_cache=route.share_cache,
            takes_partial=route.on_deadline == "partial",
        )
        for name, route in settings.routes.items()
    }


def search_routes(
    settings: Settings, backends: Mapping[str, Built]
) -> dict[str, SearchRoute]:
    """Give what Search looks up, by name."""
    return {
        name: SearchRoute(
            enabled=route.enabled,
            fusion=Fusion(route.fusion.upper()),
            adaptive_weights=route.adaptive_weights,
            timeout_s=route.timeout_s,
            top_k=route.top_k
            or max(backends[each].top_k_found for each in route.backends),
        )
        for name, route in settings.routes.items()
    }
