"""Rows of the dashboard Gateway on time, load and the telemetry itself."""

from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import Panel

from deploy.observability.grafana.panels import QUARTER, lines
from deploy.observability.grafana.queries import GATEWAYS, Query


def time_and_load() -> list[Builder[Panel]]:
    """Show whether there is enough time, and enough process."""
    budget = "rerank_gateway_deadline_budget_seconds"
    candidates = "rerank_gateway_candidates"
    return [
        lines(
            "Time left when the rerank starts",
            "What is left of the caller's time, or of the route's limit, when reranking begins. "
            "Where the lower line comes near a backend's latency, calls fall back with deadline.",
            Query(GATEWAYS.quantile(0.5, budget), "half have more"),
            Query(GATEWAYS.quantile(0.05, budget), "5 of 100 have less"),
            unit="s",
            width=QUARTER,
        ),
        lines(
            "Candidates",
            "How many documents a rerank gets. Most backends take time in proportion.",
            Query(GATEWAYS.quantile(0.5, candidates), "p50"),
            Query(GATEWAYS.quantile(0.95, candidates), "p95"),
            unit="short",
            width=QUARTER,
        ),
        lines(
            "Calls in flight",
            "Calls that a process is working on. At server.max_calls, further ones are refused "
            "with RESOURCE_EXHAUSTED.",
            Query(GATEWAYS.of("rerank_gateway_server_inflight"), "{{instance}}"),
            unit="short",
            width=QUARTER,
        ),
        lines(
            "Lag of the event loop",
            "How late a process comes to its work. Above some milliseconds it has too much to "
            "do; above server.max_lag_s it refuses calls.",
            Query(GATEWAYS.of("rerank_gateway_event_loop_lag_seconds"), "{{instance}}"),
            unit="s",
            width=QUARTER,
        ),
        lines(
            "CPU",
            "Cores that a process uses. The Python part cannot use more than one; models and the "
            "store can.",
            Query(
                GATEWAYS.rate("process_cpu_seconds_total", by="instance"),
                "{{instance}}",
            ),
            unit="none",
            width=QUARTER,
        ),
        lines(
            "Memory",
            "Bytes of RAM that a process holds, with its models, caches and store.",
            Query(GATEWAYS.of("process_resident_memory_bytes"), "{{instance}}"),
            unit="bytes",
            width=QUARTER,
        ),
        lines(
            "Open files",
            "Files and connections that a process has open. If it only grows, something leaks.",
            Query(GATEWAYS.of("process_open_fds"), "{{instance}}"),
            unit="short",
            width=QUARTER,
        ),
    ]


def telemetry() -> list[Builder[Panel]]:
    """Show whether these numbers can be believed."""
    return [
        lines(
            "Telemetry thrown away",
            "Spans, metric points and log records per second that the collector did not take in "
            "time. This dashboard is complete all the same: Prometheus reads its numbers from the "
            "gateway itself.",
            Query(
                GATEWAYS.rate(
                    "rerank_gateway_telemetry_dropped_total",
                    by="rerank_gateway_telemetry_signal",
                ),
                "{{rerank_gateway_telemetry_signal}}",
            ),
            unit="ops",
        ),
        lines(
            "Gateways that answer Prometheus",
            "1: its metrics were read. 0: they could not be, and all other panels lack it.",
            Query(GATEWAYS.of("up"), "{{instance}}"),
            unit="none",
            largest=1,
        ),
        lines(
            "Series of a gateway",
            "How many numbers one scrape reads. Some hundreds are usual; each new backend, model "
            "and search_method adds some.",
            Query(GATEWAYS.of("scrape_samples_scraped"), "{{instance}}"),
            unit="short",
        ),
    ]


def configuration() -> list[Builder[Panel]]:
    """Show whether what serves is what operators want."""
    outcome = "rerank_gateway_config_outcome"
    return [
        lines(
            "Configurations read again",
            "How often the configuration was replaced, and what became of it. refused: it has a "
            "problem, which the log names, and the one before serves on.",
            Query(
                GATEWAYS.rate("rerank_gateway_config_reloads_total", by=outcome),
                f"{{{{{outcome}}}}}",
            ),
            unit="ops",
        ),
        lines(
            "Serves what it was given",
            "0 while the configuration that was read last has a problem.",
            Query(GATEWAYS.of("rerank_gateway_config_reload_success"), "{{instance}}"),
            unit="none",
            largest=1,
        ),
        lines(
            "Age of the configuration",
            "How long ago what serves was read. Gateways of one fleet should not differ for long.",
            Query(
                f"time() - {GATEWAYS.of('rerank_gateway_config_reload_time_seconds')}",
                "{{instance}}",
            ),
            unit="s",
        ),
    ]
