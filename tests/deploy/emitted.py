"""What series there are to ask for: the gateway's own, and those of what watches it."""

from collections.abc import Mapping

import yaml

from tests.deploy.places import OBSERVABILITY
from tests.deploy.promql import reads

_BACKEND = "rerank_gateway_backend"
_MODEL = "reranker_model_name"

_HISTOGRAMS: dict[str, set[str]] = {
    "rpc_server_call_duration_seconds": {
        "rpc_system_name",
        "rpc_method",
        "rpc_status_code",
        "error_type",
    },
    "rerank_gateway_request_duration_seconds": {
        "rerank_gateway_search_method",
        "rerank_gateway_cache_result",
    },
    "rerank_gateway_stage_duration_seconds": {"rerank_gateway_stage"},
    "rerank_gateway_backend_attempt_duration_seconds": {_BACKEND, "error_type"},
    "rerank_gateway_result_score": {_BACKEND, _MODEL},
    "rerank_gateway_rank_displacement": {_BACKEND, _MODEL},
    "rerank_gateway_candidates": set(),
    "rerank_gateway_deadline_budget_seconds": set(),
}
_OTHERS: dict[str, set[str]] = {
    "rerank_gateway_fallbacks_total": {"rerank_gateway_fallback_reason", _BACKEND},
    "rerank_gateway_cache_lookups_total": {"rerank_gateway_cache_result"},
    "rerank_gateway_cache_pairs_total": {
        "rerank_gateway_cache_tier",
        "rerank_gateway_cache_result",
    },
    "rerank_gateway_cache_evictions_total": {"rerank_gateway_cache_eviction_reason"},
    "rerank_gateway_cache_entries": set(),
    "rerank_gateway_cache_size_bytes": set(),
    "rerank_gateway_cache_failures_total": set(),
    "rerank_gateway_backend_circuit_state": {_BACKEND, "state"},
    "rerank_gateway_backend_inflight": {_BACKEND},
    "rerank_gateway_backend_extra_calls_total": {
        _BACKEND,
        "rerank_gateway_extra_call_kind",
    },
    "rerank_gateway_rank_top1_total": {"rerank_gateway_rank_top1_changed", _BACKEND},
    "rerank_gateway_backend_billed_units_total": {
        _BACKEND,
        "rerank_gateway_billed_unit",
    },
    "rerank_gateway_event_loop_lag_seconds": set(),
    "rerank_gateway_server_inflight": set(),
    "rerank_gateway_telemetry_dropped_total": {"rerank_gateway_telemetry_signal"},
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "process_open_fds": set(),
}
_SPAN_ATTRIBUTES = {
    "rerank_gateway.search_method",
    "rerank_gateway.fallback.reason",
    "rerank_gateway.backend",
    "rerank_gateway.debug",
    "rpc.status_code",
    "error.type",
}

_OF_PROMETHEUS = {"job", "instance"}
_BY_PROMETHEUS = ("up", "scrape_samples_scraped")


def by_the_gateway() -> dict[str, frozenset[str]]:
    """Give the labels of each series that a gateway shows."""
    return _with_histograms(_HISTOGRAMS, _OTHERS)


def on_spans() -> frozenset[str]:
    """Give the attributes of spans, of those that are asked for outside."""
    return frozenset(_SPAN_ATTRIBUTES)


def series() -> dict[str, frozenset[str]]:
    """Give the labels of each series that Prometheus can have."""
    found = by_the_gateway() | _by_the_collector()
    found |= {name: frozenset() for name in _BY_PROMETHEUS}
    return {
        name: labels | _OF_PROMETHEUS for name, labels in found.items()
    } | recorded()


def recorded() -> dict[str, frozenset[str]]:
    """Give the labels of each series that a rule makes."""
    rules = yaml.safe_load((OBSERVABILITY / "rules" / "recording.yml").read_text())
    return {
        rule["record"]: reads(rule["expr"]).grouped
        for group in rules["groups"]
        for rule in group["rules"]
    }


def _by_the_collector() -> dict[str, frozenset[str]]:
    collector = yaml.safe_load((OBSERVABILITY / "otelcol.yaml").read_text())
    counts = collector["connectors"]["span_metrics"]
    prefix = counts["namespace"].replace(".", "_")
    labels = {"service_name", "span_name", "span_kind", "status_code"} | {
        each["name"].replace(".", "_") for each in counts["dimensions"]
    }
    return _with_histograms(
        {f"{prefix}_duration_seconds": labels}, {f"{prefix}_calls_total": labels}
    )


def _with_histograms(
    histograms: Mapping[str, set[str]], others: Mapping[str, set[str]]
) -> dict[str, frozenset[str]]:
    found = {name: frozenset(labels) for name, labels in others.items()}
    for name, labels in histograms.items():
        found[f"{name}_bucket"] = frozenset(labels | {"le"})
        found[f"{name}_sum"] = found[f"{name}_count"] = frozenset(labels)
    return found
