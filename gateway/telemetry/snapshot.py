"""What the instruments have counted, as OpenTelemetry's data: the way from one to the other.

Every number is one since the beginning: a collector that missed some misses nothing.
"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Metric as Exported
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from gateway.telemetry import semconv
from gateway.telemetry.catalogue import METRICS, Kind, Metric

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE

# What Prometheus's collector of the process gives, as OpenTelemetry has it.
_OF_PROCESS: Final = {
    "process_cpu_seconds": Metric(
        "process.cpu.time", Kind.COUNTER, "s", "CPU time that this process used."
    ),
    "process_resident_memory_bytes": Metric(
        "process.memory.usage", Kind.UP_DOWN, "By", "Physical memory in use."
    ),
    "process_virtual_memory_bytes": Metric(
        "process.memory.virtual", Kind.UP_DOWN, "By", "Virtual memory in use."
    ),
    "process_open_fds": Metric(
        "process.unix.file_descriptor.count",
        Kind.UP_DOWN,
        "{file_descriptor}",
        "Open file descriptors.",
    ),
}
_KNOWN: Final = {metric.family: metric for metric in METRICS} | _OF_PROCESS


def snapshot(
    families: Iterable[Family], *, resource: Resource, began_ns: int, now_ns: int
) -> MetricsData:
    """Give the numbers of a registry.

    Args:
        families: What it collects.
        resource: Whose they are.
        began_ns: When all of them were 0, in Unix time.
        now_ns: When they are what they are.

    """
    metrics = [
        Exported(
            name=metric.name,
            description=metric.description,
            unit=metric.unit,
            data=_data(metric, family.samples, began_ns, now_ns),
        )
        for family in families
        if family.samples and (metric := _KNOWN.get(family.name))
    ]
    scope = ScopeMetrics(InstrumentationScope(semconv.SCOPE), metrics, schema_url="")
    return MetricsData([ResourceMetrics(resource, [scope], schema_url="")])


def _data(
    metric: Metric, samples: list[Sample], began_ns: int, now_ns: int
) -> Sum | Gauge | Histogram:
    if metric.kind is Kind.HISTOGRAM:
        buckets = list(_buckets(metric, samples, began_ns, now_ns))
        return Histogram(buckets, _CUMULATIVE)
    points = [
        NumberDataPoint(
            attributes=_attributes(metric, sample),
            start_time_unix_nano=began_ns,
            time_unix_nano=now_ns,
            value=sample.value,
        )
        for sample in samples
    ]
    if metric.kind is Kind.GAUGE:
        return Gauge(points)
    return Sum(points, _CUMULATIVE, is_monotonic=metric.kind is Kind.COUNTER)


def _buckets(
    metric: Metric, samples: list[Sample], began_ns: int, now_ns: int
) -> Iterator[HistogramDataPoint]:
    """Give a point for each series, whose samples follow each other."""
    counts = [0]
    for sample in samples:
        if sample.name.endswith("_bucket"):
            # Prometheus counts all below a bound, OpenTelemetry those between two.
            counts.append(int(sample.value))
        elif sample.name.endswith("_sum"):
            yield HistogramDataPoint(
                attributes=_attributes(metric, sample),
                start_time_unix_nano=began_ns,
                time_unix_nano=now_ns,
                count=counts[-1],
                sum=sample.value,
                bucket_counts=[more - fewer for fewer, more in pairwise(counts)],
                explicit_bounds=metric.bounds,
                min=None,  # type: ignore[arg-type]  # not known, and left out if None
                max=None,  # type: ignore[arg-type]  # not known, and left out if None
            )
            counts = [0]


def _attributes(metric: Metric, sample: Sample) -> dict[str, str]:
    """Name what Prometheus has as labels; what is empty there is missing here."""
    named = zip(metric.attributes, metric.labels, strict=True)
    return {name: value for name, label in named if (value := sample.labels[label])}
