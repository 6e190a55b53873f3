"""What series there are to ask for: the gateway's own, and those of what watches it."""

from collections.abc import Mapping

import yaml

from gateway.telemetry import catalogue, semconv
from tests.deploy.places import OBSERVABILITY
from tests.deploy.promql import reads

_OF_THE_PROCESS = (
    *("process_cpu_seconds_total", "process_resident_memory_bytes"),
    "process_open_fds",
)
_OF_PROMETHEUS = {"job", "instance"}
_BY_PROMETHEUS = ("up", "scrape_samples_scraped")


def by_the_gateway() -> dict[str, frozenset[str]]:
    """Give the labels of each series that a gateway shows."""
    histograms, others = {}, {key: set[str]() for key in _OF_THE_PROCESS}
    for metric in catalogue.METRICS:
        labels = set(metric.labels)
        if metric.kind is catalogue.Kind.HISTOGRAM:
            histograms[metric.family] = labels
        elif metric.kind is catalogue.Kind.COUNTER:
            others[f"{metric.family}_total"] = labels
        else:
            others[metric.family] = labels
    return _with_histograms(histograms, others)


def on_spans() -> frozenset[str]:
    """Give the names that spans have."""
    return frozenset(name for name in vars(semconv).values() if isinstance(name, str))


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
