"""A collector of all that OpenTelemetry sends, in this process and on a real socket."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1 import (
    logs_service_pb2,
    logs_service_pb2_grpc,
)
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.trace.v1.trace_pb2 import Span

PATIENCE_S = 20.0

SIGNALS = ("traces", "metrics", "logs")

Labels = tuple[tuple[str, str], ...]
"""The attributes of one series, sorted."""


@dataclass(slots=True)
class Collector:
    """What was sent, as it came."""

    endpoint: str = ""
    traces: list[trace_service_pb2.ExportTraceServiceRequest] = field(
        default_factory=list
    )
    metrics: list[metrics_service_pb2.ExportMetricsServiceRequest] = field(
        default_factory=list
    )
    logs: list[logs_service_pb2.ExportLogsServiceRequest] = field(default_factory=list)
    sent: dict[str, bytearray] = field(
        default_factory=lambda: {each: bytearray() for each in SIGNALS}
    )
    """By signal: every byte of every request, as it was on the wire."""
    _lock: Lock = field(default_factory=Lock)

    @property
    def environment(self) -> Mapping[str, str]:
        """Say to a gateway that it is here."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "50",
            "OTEL_BLRP_SCHEDULE_DELAY": "50",
        }

    @property
    def spans(self) -> list[Span]:
        """Give all spans, the one that began first first."""
        with self._lock:
            found = [
                span
                for request in self.traces
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    @property
    def records(self) -> list[LogRecord]:
        """Give all log records, in their order."""
        with self._lock:
            return [
                record
                for request in self.logs
                for resource in request.resource_logs
                for scope in resource.scope_logs
                for record in scope.log_records
            ]

    @property
    def last_metrics(self) -> dict[str, Metric]:
        """Give the metrics of the last request, by name; all sums are from the start."""
        with self._lock:
            return {
                metric.name: metric
                for resource in self.metrics[-1].resource_metrics
                for scope in resource.scope_metrics
                for metric in scope.metrics
            }

    def counts(self, name: str) -> dict[Labels, float]:
        """Give each series of a metric that is not 0: a sum, a value or how many."""
        metric = self.last_metrics.get(name)
        return {} if metric is None else counted(metric)

    async def until_spans(self, count: int) -> list[Span]:
        """Wait until so many are here."""
        async with asyncio.timeout(PATIENCE_S):
            while len(spans := self.spans) < count:  # noqa: ASYNC110 - sent by a thread
                await asyncio.sleep(0.01)
        return spans

    def take(self, signal: str, request: Any) -> None:
        """Keep a request, which comes from another thread."""
        with self._lock:
            getattr(self, signal).append(request)
            self.sent[signal] += request.SerializeToString()


@contextmanager
def collecting() -> Iterator[Collector]:
    """Collect on a free port while the block runs."""
    collector = Collector()

    class Traces(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, _: Any) -> Any:  # noqa: N802 - gRPC's name
            collector.take("traces", request)
            return trace_service_pb2.ExportTraceServiceResponse()

    class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
        def Export(self, request: Any, _: Any) -> Any:  # noqa: N802 - gRPC's name
            collector.take("metrics", request)
            return metrics_service_pb2.ExportMetricsServiceResponse()

    class Logs(logs_service_pb2_grpc.LogsServiceServicer):
        def Export(self, request: Any, _: Any) -> Any:  # noqa: N802 - gRPC's name
            collector.take("logs", request)
            return logs_service_pb2.ExportLogsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(Traces(), server)  # type: ignore[no-untyped-call]  # generated
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Metrics(), server)  # type: ignore[no-untyped-call]  # generated
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(Logs(), server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    collector.endpoint = f"http://127.0.0.1:{port}"
    server.start()
    try:
        yield collector
    finally:
        server.stop(0).wait()


def value_of(value: AnyValue) -> Any:
    """Read one value."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def values(attributes: Sequence[KeyValue]) -> dict[str, Any]:
    """Read attributes, sorted by their names."""
    return {
        each.key: value_of(each.value)
        for each in sorted(attributes, key=lambda each: each.key)
    }


def counted(metric: Metric) -> dict[Labels, float]:
    """Give each series that is not 0."""
    found: dict[Labels, float] = {}
    for point in points(metric):
        labels = tuple(
            (key, str(each)) for key, each in values(point.attributes).items()
        )
        count = point.count if metric.HasField("histogram") else _number(point)
        if count:
            found[labels] = count
    return found


def points(metric: Metric) -> Sequence[Any]:
    """Give the points of a metric of any kind."""
    return getattr(metric, str(metric.WhichOneof("data"))).data_points  # type: ignore[no-any-return]


def _number(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value")))


def by(series: Mapping[Labels, float], *names: str) -> Counter[tuple[str, ...]]:
    """Add up series by some of their attributes; those that are missing are empty."""
    added: Counter[tuple[str, ...]] = Counter()
    for labels, count in series.items():
        known = dict(labels)
        added[tuple(known.get(name, "") for name in names)] += int(count)
    return added
