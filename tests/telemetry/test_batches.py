"""Spans wait for their batch, a bounded number of them, and nothing is tried in vain."""

import gc
import threading
from collections.abc import Sequence
from weakref import WeakSet

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    SimpleSpanProcessor,
    SpanExporter,
    SpanExportResult,
)

from gateway.settings import Export
from gateway.settings.telemetry import Protocol
from gateway.telemetry import exporting, otlp
from gateway.telemetry.exporting import Batches, Delivery, span_exporter
from tests.e2e.vendor import refusing_url

PATIENCE_S = 20.0


class Alive(SpanProcessor):
    """Knows which spans are still in memory."""

    def __init__(self) -> None:
        self.spans: WeakSet[ReadableSpan] = WeakSet()

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.add(span)


class Told(SpanExporter):
    """Does with a batch what it is told to."""

    def __init__(self) -> None:
        self.tries = 0
        self.result = SpanExportResult.FAILURE
        self.answers = threading.Event()
        self.asked = threading.Event()

    def export(self, _: Sequence[ReadableSpan]) -> SpanExportResult:
        self.tries += 1
        self.asked.set()
        self.answers.wait()
        return self.result


def test_no_more_spans_are_kept_for_a_frozen_collector_than_may_wait() -> None:
    most, batch = 1000, 512
    told, delivery, alive = Told(), Delivery(), Alive()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Batches(told, delivery=delivery, most=most))
    provider.add_span_processor(alive)
    tracer = provider.get_tracer("test")
    try:
        for place in range(10 * most):
            tracer.start_span("call").end()
            if place == batch:
                assert told.asked.wait(PATIENCE_S)
        assert len(alive.spans) <= most + batch
        assert delivery.dropped >= 9 * most - batch
        assert delivery.waiting <= most
    finally:
        told.answers.set()
        provider.shutdown()


@pytest.mark.parametrize(("rest_s", "tries"), [(3600.0, 1), (0.0, 2)])
def test_after_a_failure_nothing_is_tried_for_a_while(
    monkeypatch: pytest.MonkeyPatch, rest_s: float, tries: int
) -> None:
    monkeypatch.setattr(exporting, "_REST_S", rest_s)
    told, delivery = Told(), Delivery()
    told.answers.set()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Batches(told, delivery=delivery, most=1000))
    tracer = provider.get_tracer("test")
    for _ in range(2):
        tracer.start_span("call").end()
        provider.force_flush()
    assert told.tries == tries
    assert delivery.dropped == 2
    assert not delivery.waiting
    provider.shutdown()


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_nothing_holds_a_batch_that_was_not_taken(
    monkeypatch: pytest.MonkeyPatch, protocol: Protocol
) -> None:
    monkeypatch.setattr(otlp, "TIMEOUT_S", 0.2)
    alive = Alive()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(alive)
    gc.collect()
    gc.disable()
    try:
        with refusing_url() as nobody:
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", nobody)
            sender = span_exporter(Export(exporter="otlp", protocol=protocol))
            assert sender
            provider.add_span_processor(SimpleSpanProcessor(sender))
            provider.get_tracer("test").start_span("call").end()
        assert not alive.spans
    finally:
        gc.enable()
    provider.shutdown()
