"""Rows of the dashboard Gateway on what callers get."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability.grafana.panels import (
    FULL_WIDTH,
    HALF,
    bars,
    heat,
    lines,
    number,
)
from deploy.observability.grafana.queries import BACKENDS, GATEWAYS, Query

_REQUESTS = "rerank_gateway_request_duration_seconds"
_METHOD = "rerank_gateway_search_method"
_REASON = "rerank_gateway_fallback_reason"
_BACKEND = "rerank_gateway_backend"
_MODEL = "reranker_model_name"
_OF_MODEL = f"{{{{{_BACKEND}}}}} {{{{{_MODEL}}}}}"

_ALL = GATEWAYS.rate(f"{_REQUESTS}_count")
_FALLBACKS = GATEWAYS.rate("rerank_gateway_fallbacks_total")

DEGRADED = GATEWAYS.share(_FALLBACKS, _ALL)
"""The share of the calls that were answered in the order received."""


def at_a_glance() -> list[Builder[Panel]]:
    """Say in six numbers whether all is well."""
    not_closed = GATEWAYS.of("rerank_gateway_backend_circuit_state", 'state="closed"')
    return [
        number(
            "Calls per second",
            "Reranks and searches that were answered, by all chosen gateways together.",
            _ALL,
            unit="reqps",
        ),
        number(
            "95 of 100 calls are faster than",
            "Time from the arrival of a rerank or a search to its answer, in the gateway. "
            "Five of a hundred take longer.",
            GATEWAYS.quantile(0.95, _REQUESTS),
            unit="s",
            steps=[(1, "yellow"), (4, "red")],
        ),
        number(
            "Answered without the rerank",
            "The share of calls that asked for a rerank and got their documents in the order "
            "received, since no backend scored them. These answers are valid, and worse. The "
            "alert RerankFallbacks fires above 2 %.",
            DEGRADED,
            unit="percentunit",
            steps=[(0.005, "yellow"), (0.02, "red")],
        ),
        number(
            "Failed calls",
            "The share of gRPC calls that ended in an error of the server's. A failing "
            "reranker does not count: it is answered without it.",
            GATEWAYS.share(
                GATEWAYS.rate(
                    "rpc_server_call_duration_seconds_count", 'error_type!=""'
                ),
                GATEWAYS.rate("rpc_server_call_duration_seconds_count"),
            ),
            unit="percentunit",
            steps=[(0.001, "yellow"), (0.01, "red")],
        ),
        number(
            "Remembered scores",
            "Of the pairs of query and document that were looked up in the cache, the share "
            "whose score was known. Each saves a backend the work.",
            GATEWAYS.share(
                GATEWAYS.rate(
                    "rerank_gateway_cache_pairs_total",
                    'rerank_gateway_cache_result="hit"',
                ),
                GATEWAYS.rate("rerank_gateway_cache_pairs_total"),
            ),
            unit="percentunit",
        ),
        number(
            "Circuits not closed",
            "How many backends are not asked at the moment, since they failed too often or "
            "asked to be left alone; each gateway counts for itself. Row Backends says which.",
            f"count({not_closed} == 0) or vector(0)",
            unit="none",
            steps=[(1, "red")],
        ),
    ]


def answers() -> list[Builder[Panel]]:
    """Show how much was answered, how, and how fast."""
    return [
        lines(
            "Calls by what happened",
            "Reranks and searches per second, by their search_method: the stages that really "
            "took place. A method that ends in +rerank was reranked. One without was not, either "
            "because nobody asked for it or because it failed; row Fallbacks tells the latter.",
            Query(
                GATEWAYS.rate(f"{_REQUESTS}_count", by=_METHOD), f"{{{{{_METHOD}}}}}"
            ),
            unit="reqps",
            width=HALF,
            stacked=True,
        ),
        lines(
            "Latency by what happened",
            "The chosen quantile of the time to an answer, by search_method. Stages cost "
            "time: compare a method with and without +rerank or +mmr.",
            Query(
                GATEWAYS.quantile("$quantile", _REQUESTS, by=_METHOD),
                f"{{{{{_METHOD}}}}}",
            ),
            unit="s",
            width=HALF,
        ),
        lines(
            "Latency of all calls",
            "Half of the calls are faster than the lowest line; one of a hundred is slower than "
            "the highest. Estimated from buckets, the largest of which ends at 10 s.",
            *(
                Query(GATEWAYS.quantile(share, _REQUESTS), name)
                for share, name in ((0.5, "p50"), (0.95, "p95"), (0.99, "p99"))
            ),
            unit="s",
        ),
        lines(
            "Stages",
            "Where the time goes, at the chosen quantile: embed makes the query a vector, retrieve "
            "finds candidates, mmr makes them diverse, rerank has them scored, retries and waiting "
            "included.",
            Query(
                GATEWAYS.quantile(
                    "$quantile",
                    "rerank_gateway_stage_duration_seconds",
                    by="rerank_gateway_stage",
                ),
                "{{rerank_gateway_stage}}",
            ),
            unit="s",
        ),
        heat(
            "All latencies",
            "Each column is a moment, each row a range of times to an answer; the brighter, "
            "the more calls. Two bright bands are two kinds of calls, such as remembered and not.",
            GATEWAYS.rate(f"{_REQUESTS}_bucket", by="le"),
            unit="s",
        ),
    ]


def fallbacks() -> list[Builder[Panel]]:
    """Show what was answered without the rerank that was asked for, and why."""
    return [
        lines(
            "Share answered without the rerank",
            "Of all reranks and searches, those which asked for a rerank and were answered in "
            "the order received. The alert fires above 2 % for ten minutes.",
            Query(DEGRADED, "without the rerank"),
            unit="percentunit",
        ),
        lines(
            "Fallbacks by reason",
            "Why no backend scored, per second. timeout: the backend took longer than its own "
            "limit; deadline: the caller's time was over first; circuit_open: it failed too often "
            "and was not asked; overloaded: our own queue for it was full; malformed: its answer "
            "could not be used.",
            Query(
                GATEWAYS.rate("rerank_gateway_fallbacks_total", by=_REASON),
                f"{{{{{_REASON}}}}}",
            ),
            unit="reqps",
            stacked=True,
        ),
        bars(
            "Fallbacks by backend and reason",
            "How many there were in the whole time range. The backend is the first one of the "
            "route; none where nobody was asked.",
            Query(
                f"sum by ({_BACKEND}, {_REASON}) (increase("
                f"{GATEWAYS.of('rerank_gateway_fallbacks_total')}[$__range]))",
                f"{{{{{_BACKEND}}}}}: {{{{{_REASON}}}}}",
            ),
            unit="short",
        ),
    ]


def scores() -> list[Builder[Panel]]:
    """Show what reranking changes."""
    score = "rerank_gateway_result_score"
    displacement = "rerank_gateway_rank_displacement"
    return [
        lines(
            "Score of the first result",
            "Median, and the range in which eight of ten lie, of the best score of each "
            "rerank; only of models that give probabilities. A reranker's own scores do not show "
            "quality: a sudden shift shows that the model or the queries changed.",
            *(
                Query(
                    BACKENDS.quantile(share, score, by=f"{_BACKEND}, {_MODEL}"),
                    f"{_OF_MODEL} {name}",
                )
                for share, name in ((0.1, "p10"), (0.5, "p50"), (0.9, "p90"))
            ),
            unit="percentunit",
            largest=1,
        ),
        heat(
            "All scores of first results",
            "Each column is a moment, each row a range of scores; the brighter, the more "
            "reranks. Two bands are typical: queries that have a good document, and those that "
            "have none.",
            BACKENDS.rate(f"{score}_bucket", by="le"),
            unit="percentunit",
        ),
        lines(
            "How far documents move",
            "How different the order after the rerank is from the one before: 0 is the same, "
            "0.5 is chance, 1 is reversed (the share of pairs that changed places). The median "
            "of each model. Near 0: the rerank changes little and may not be worth its time.",
            Query(
                BACKENDS.quantile(0.5, displacement, by=f"{_BACKEND}, {_MODEL}"),
                _OF_MODEL,
            ),
            unit="percentunit",
            largest=1,
        ),
        lines(
            "Another document comes first",
            "The share of reranks which put another document on top. It says how much the rerank "
            "changes, not whether it is right: only judgements do (rerank-gateway evaluate).",
            Query(
                GATEWAYS.share(
                    BACKENDS.rate(
                        "rerank_gateway_rank_top1_total",
                        'rerank_gateway_rank_top1_changed="true"',
                        by=_BACKEND,
                    ),
                    BACKENDS.rate("rerank_gateway_rank_top1_total", by=_BACKEND),
                ),
                f"{{{{{_BACKEND}}}}}",
            ),
            unit="percentunit",
            largest=1,
            width=FULL_WIDTH,
        ),
    ]
