"""Rows of the dashboard Gateway on what the process does."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability.grafana.panels import HALF, QUARTER, lines, states
from deploy.observability.grafana.queries import BACKENDS, GATEWAYS, SERVERS, Query

_ATTEMPTS = "rerank_gateway_backend_attempt_duration_seconds"
_RPC = "rpc_server_call_duration_seconds"
_BACKEND = "rerank_gateway_backend"
_OF_BACKEND = f"{{{{{_BACKEND}}}}}"


def cache() -> list[Builder[Panel]]:
    """Show what was remembered."""
    pairs = "rerank_gateway_cache_pairs_total"
    result = "rerank_gateway_cache_result"
    tier = "rerank_gateway_cache_tier"
    return [
        lines(
            "Reranks by what was remembered",
            "Per second. hit: all scores were known; partial: some; miss: none; coalesced: the "
            "same call was running, its answer was taken; bypass: the caller did not want "
            "remembered scores.",
            Query(
                GATEWAYS.rate("rerank_gateway_cache_lookups_total", by=result),
                f"{{{{{result}}}}}",
            ),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Remembered scores by tier",
            "Of the pairs of query and document that a tier was asked for, the share that it "
            "knew. process: the memory of one gateway; shared: the Redis or Valkey of all.",
            Query(
                GATEWAYS.share(
                    GATEWAYS.rate(pairs, f'{result}="hit"', by=tier),
                    GATEWAYS.rate(pairs, by=tier),
                ),
                f"{{{{{tier}}}}}",
            ),
            unit="percentunit",
            largest=1,
        ),
        lines(
            "Latency by what was remembered",
            "The chosen quantile of the time to an answer. The distance of hit and miss is what "
            "the cache gains.",
            Query(
                GATEWAYS.quantile(
                    "$quantile", "rerank_gateway_request_duration_seconds", by=result
                ),
                f"{{{{{result}}}}}",
            ),
            unit="s",
        ),
        lines(
            "Remembered pairs",
            "How many scores each process keeps.",
            Query(GATEWAYS.of("rerank_gateway_cache_entries"), "{{instance}}"),
            unit="short",
            width=QUARTER,
        ),
        lines(
            "Memory of the cache",
            "Bytes that each process keeps scores in. It stays below cache.max_bytes.",
            Query(GATEWAYS.of("rerank_gateway_cache_size_bytes"), "{{instance}}"),
            unit="bytes",
            width=QUARTER,
        ),
        lines(
            "Evictions",
            "Scores forgotten per second. ttl: they were old, as configured; capacity: there "
            "was no room, and a larger cache.max_bytes would know more.",
            Query(
                GATEWAYS.rate(
                    "rerank_gateway_cache_evictions_total",
                    by="rerank_gateway_cache_eviction_reason",
                ),
                "{{rerank_gateway_cache_eviction_reason}}",
            ),
            unit="ops",
            width=QUARTER,
        ),
        lines(
            "Shared memory does not answer",
            "How often per second the Redis or Valkey was down, or slower than cache.timeout_s. "
            "Its scores count as unknown then.",
            Query(
                GATEWAYS.rate("rerank_gateway_cache_failures_total", by="instance"),
                "{{instance}}",
            ),
            unit="ops",
            width=QUARTER,
        ),
    ]


def backends() -> list[Builder[Panel]]:
    """Show each backend: how fast, how reliable, how dear."""
    failed = BACKENDS.rate(
        f"{_ATTEMPTS}_count", 'error_type!~"|cancelled"', by=_BACKEND
    )
    ended = BACKENDS.rate(f"{_ATTEMPTS}_count", 'error_type!="cancelled"', by=_BACKEND)
    circuit = "rerank_gateway_backend_circuit_state"
    by_process = f"max by ({_BACKEND}, instance)"
    half_open = SERVERS.of(circuit, 'state="half_open"')
    is_open = SERVERS.of(circuit, 'state="open"')
    extra = "rerank_gateway_backend_extra_calls_total"
    return [
        lines(
            "Latency of attempts",
            "The chosen quantile of single calls to a backend, failed ones included. embedder: who "
            "makes vectors of texts.",
            Query(BACKENDS.quantile("$quantile", _ATTEMPTS, by=_BACKEND), _OF_BACKEND),
            unit="s",
        ),
        lines(
            "Attempts",
            "Calls to each backend per second, retries and hedges included. What the cache "
            "knows is not asked for.",
            Query(BACKENDS.rate(f"{_ATTEMPTS}_count", by=_BACKEND), _OF_BACKEND),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Failed attempts",
            "The share of a backend's calls that failed. Those that we gave up ourselves, such "
            "as the loser of a hedge, do not count. The alert fires above 5 % for ten minutes.",
            Query(GATEWAYS.share(failed, ended), _OF_BACKEND),
            unit="percentunit",
        ),
        states(
            "Circuits",
            "Green: the backend is asked. Red: it failed too often, or asked to be left alone, "
            "and is not asked for a while. Yellow: one call is let through to see whether it "
            "works again. A backend of several urls has a circuit for each.",
            Query(
                f"{by_process} ({half_open}) + 2 * {by_process} ({is_open})",
                f"{_OF_BACKEND} at {{{{instance}}}}",
            ),
            names=[("closed", "green"), ("half open", "yellow"), ("open", "red")],
            width=HALF,
        ),
        lines(
            "Failed attempts by error",
            "Per second. cancelled: we gave it up ourselves, such as the loser of a hedge.",
            Query(
                BACKENDS.rate(
                    f"{_ATTEMPTS}_count", 'error_type!=""', by=f"{_BACKEND}, error_type"
                ),
                f"{_OF_BACKEND}: {{{{error_type}}}}",
            ),
            unit="reqps",
            width=HALF,
            stacked=True,
        ),
        lines(
            "Calls running",
            "Calls that each backend has not answered yet. A flat top is its max_in_flight: "
            "further calls wait.",
            Query(
                f"sum by ({_BACKEND}) ({BACKENDS.of('rerank_gateway_backend_inflight')})",
                _OF_BACKEND,
            ),
            unit="short",
            width=QUARTER,
        ),
        lines(
            "Extra calls",
            "Retries (once more after a failure) and hedges (a second server while the first "
            "one is slow), as a share of all attempts. Bounded by extra_calls, 10 % unless set.",
            Query(
                f"{BACKENDS.rate(extra, by=f'{_BACKEND}, rerank_gateway_extra_call_kind')}"
                f" / on ({_BACKEND}) group_left () "
                f"{BACKENDS.rate(f'{_ATTEMPTS}_count', by=_BACKEND)}",
                f"{_OF_BACKEND}: {{{{rerank_gateway_extra_call_kind}}}}",
            ),
            unit="percentunit",
            width=QUARTER,
        ),
        lines(
            "Billed units per hour",
            "What vendors say they charge for, in their own units.",
            Query(
                "3600 * "
                + BACKENDS.rate(
                    "rerank_gateway_backend_billed_units_total",
                    by=f"{_BACKEND}, rerank_gateway_billed_unit",
                ),
                f"{_OF_BACKEND}: {{{{rerank_gateway_billed_unit}}}}",
            ),
            unit="short",
            width=QUARTER,
        ),
        lines(
            "Cost per hour",
            "Billed search units times the price that you set above, which is the price of a "
            "thousand.",
            Query(
                "3.6 * $price * "
                + BACKENDS.rate(
                    "rerank_gateway_backend_billed_units_total",
                    'rerank_gateway_billed_unit="search_units"',
                    by=_BACKEND,
                ),
                _OF_BACKEND,
            ),
            unit="currencyUSD",
            width=QUARTER,
        ),
    ]


def grpc() -> list[Builder[Panel]]:
    """Show the calls as gRPC sees them."""
    return [
        lines(
            "Calls by method",
            "All gRPC calls per second, also those that manage documents. _OTHER: a method that "
            "does not exist.",
            Query(GATEWAYS.rate(f"{_RPC}_count", by="rpc_method"), "{{rpc_method}}"),
            unit="reqps",
            stacked=True,
        ),
        lines(
            "Latency by method",
            "One call of a hundred takes longer. Imports are streams and last as long as they "
            "like.",
            Query(GATEWAYS.quantile(0.99, _RPC, by="rpc_method"), "{{rpc_method}}"),
            unit="s",
        ),
        lines(
            "Calls that were not OK",
            "Per second, by status code. INVALID_ARGUMENT and NOT_FOUND are the caller's "
            "mistakes, CANCELLED its wish, RESOURCE_EXHAUSTED a process that has too much to do; "
            "the others are errors of the server's.",
            Query(
                GATEWAYS.rate(
                    f"{_RPC}_count",
                    'rpc_status_code!="OK"',
                    by="rpc_method, rpc_status_code",
                ),
                "{{rpc_method}} {{rpc_status_code}}",
            ),
            unit="reqps",
            stacked=True,
        ),
    ]
