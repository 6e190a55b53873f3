"""Rows of the dashboard Search methods: what single calls did, from their traces."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability.grafana.panels import FULL_WIDTH, lines, traces
from deploy.observability.grafana.queries import SPANS, Query

_CALLS = "traces_span_metrics_calls_total"
_DURATION = "traces_span_metrics_duration_seconds"
_METHOD = "rerank_gateway_search_method"
_REASON = "rerank_gateway_fallback_reason"
_BACKEND = "rerank_gateway_backend"

_SERVER = 'span_kind="SPAN_KIND_SERVER"'
_CLIENT = 'span_kind="SPAN_KIND_CLIENT"'
_INTERNAL = 'span_kind="SPAN_KIND_INTERNAL"'
_CHOSEN = f'{_METHOD}=~"$search_method"'
_ANSWERED = f'{_METHOD}!=""'

_ENTERED = 'resource.service.name = "rerank-gateway" && kind = server'


def methods() -> list[Builder[Panel]]:
    """Compare search methods by all their spans."""
    calls = SPANS.rate(_CALLS, _SERVER, _CHOSEN, _ANSWERED, by=_METHOD)
    fell_back = SPANS.rate(
        _CALLS, _SERVER, _CHOSEN, _ANSWERED, f'{_REASON}!=""', by=_METHOD
    )
    return [
        lines(
            "Calls by search method",
            "Reranks and searches per second by what really happened, counted from all spans "
            "before any is thrown away. It agrees with the same panel of the dashboard Gateway, "
            "unless telemetry is lost on the way.",
            Query(calls, f"{{{{{_METHOD}}}}}"),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Latency by search method",
            "The chosen quantile. Each dot is a single call: a click opens its trace, if it is "
            "among those that are kept.",
            Query(
                SPANS.quantile(
                    "$quantile", _DURATION, _SERVER, _CHOSEN, _ANSWERED, by=_METHOD
                ),
                f"{{{{{_METHOD}}}}}",
                exemplars=True,
            ),
            unit="s",
        ),
        lines(
            "Share that lost its rerank, by search method",
            "Of the calls that ended in this method, those which should have been reranked, too. "
            "A method with +rerank is 0 by definition.",
            Query(SPANS.share(fell_back, calls), f"{{{{{_METHOD}}}}}"),
            unit="percentunit",
            largest=1,
        ),
        lines(
            "Fallbacks by search method and reason",
            "Per second: what callers got instead of a reranked answer, and why.",
            Query(
                SPANS.rate(
                    _CALLS,
                    _SERVER,
                    _CHOSEN,
                    f'{_REASON}!=""',
                    by=f"{_METHOD}, {_REASON}",
                ),
                f"{{{{{_METHOD}}}}}: {{{{{_REASON}}}}}",
            ),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Time of each stage",
            "The chosen quantile of the steps inside a call: retrieve …, diversify mmr, rerank; "
            "score is a model in this process.",
            Query(
                SPANS.quantile("$quantile", _DURATION, _INTERNAL, by="span_name"),
                "{{span_name}}",
                exemplars=True,
            ),
            unit="s",
        ),
        lines(
            "Failed calls to backends",
            "Per second, by how they failed. What callers noticed of it is in the panels above.",
            Query(
                SPANS.rate(
                    _CALLS, _CLIENT, 'error_type!=""', by=f"{_BACKEND}, error_type"
                ),
                f"{{{{{_BACKEND}}}}}: {{{{error_type}}}}",
            ),
            unit="reqps",
            stacked=True,
        ),
    ]


def single_calls() -> list[Builder[Panel]]:
    """List calls that are worth a look, newest first."""
    return [
        traces(
            "Answered without the rerank",
            "Calls that asked for a rerank and got the order received. All of them are kept. "
            "Open one: the red attempt below rerank is the reason.",
            f"{{ {_ENTERED} && span.rerank_gateway.fallback.reason != nil }}"
            " | select(span.rerank_gateway.search_method,"
            " span.rerank_gateway.fallback.reason)",
        ),
        traces(
            "Slower than a second",
            "All of them are kept. The longest bar in the trace is where the time went.",
            f"{{ {_ENTERED} && duration > 1s }}"
            " | select(span.rerank_gateway.search_method)",
        ),
        traces(
            "Failed calls",
            "Calls that ended in an error of the server's. All of them are kept.",
            f"{{ {_ENTERED} && status = error }} | select(span.rpc.status_code)",
        ),
        traces(
            "Answered only after a failed attempt",
            "Reranked in the end, by a retry, a hedge or the next backend of the route.",
            f"{{ {_ENTERED} && span.rerank_gateway.search_method =~ `.*rerank.*` }}"
            " >> { kind = client && status = error }",
        ),
        traces(
            "Calls of the chosen search methods",
            "A sample: one call in twenty, and all that failed, fell back or took longer than "
            "a second. The span's attributes show where each result came from.",
            # Grafana would write the + of a method as it is, were it not told to escape.
            f"{{ {_ENTERED}"
            " && span.rerank_gateway.search_method =~ `${search_method:regex}` }"
            " | select(span.rerank_gateway.search_method)",
            width=FULL_WIDTH,
        ),
    ]
