"""Send spans away, in batches, without ever making a call wait.

What cannot be sent is dropped and counted: a collector that is down costs neither memory
nor time.
"""

import time
from collections.abc import Sequence

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)

from gateway.settings import Export
from gateway.telemetry.otlp import over_otlp

_REST_S = 5.0
"""After a batch that was not taken none is tried: encoding them for nobody takes time from
calls."""


class Delivery:
    """What became of the spans so far.

    Each number is written by one thread alone: the loop's, or the one that sends.
    """

    def __init__(self) -> None:
        self.given = 0
        self.taken = 0
        self.refused = 0
        self.failed = 0

    @property
    def waiting(self) -> int:
        """Spans handed over and not yet taken to be sent."""
        return self.given - self.taken

    @property
    def dropped(self) -> int:
        """Spans not sent, for want of room or of a collector."""
        return self.refused + self.failed


class Batches(SpanProcessor):
    """The SDK's batches, with a bound that counts what is beyond it.

    Args:
        exporter: Sends a batch.
        delivery: Counts.
        most: Spans that may wait.

    """

    def __init__(
        self, exporter: SpanExporter, *, delivery: Delivery, most: int
    ) -> None:
        self._delivery = delivery
        self._most = most
        # With a little more room than is used: the SDK writes a line for each span that
        # it has no room for.
        self._batches = BatchSpanProcessor(
            _Counted(exporter, delivery), max_queue_size=2 * most
        )

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Let it be sent, if there is room."""
        if self._delivery.waiting >= self._most:
            self._delivery.refused += 1
            return
        self._delivery.given += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send what is left, and end."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]  # half typed

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is there."""
        return self._batches.force_flush(timeout_millis)


class _Counted(SpanExporter):
    """Counts what leaves, and what fails to; after a failure it rests."""

    def __init__(self, exporter: SpanExporter, delivery: Delivery) -> None:
        self._exporter = exporter
        self._delivery = delivery
        self._rests_until = 0.0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send one batch, or drop it."""
        self._delivery.taken += len(spans)
        result = SpanExportResult.FAILURE
        if time.monotonic() < self._rests_until:
            self._delivery.failed += len(spans)
            return result
        try:
            result = self._exporter.export(spans)
        finally:
            if result is not SpanExportResult.SUCCESS:
                self._delivery.failed += len(spans)
                self._rests_until = time.monotonic() + _REST_S
        return result

    def shutdown(self) -> None:
        """End."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is there."""
        return self._exporter.force_flush(timeout_millis)


def span_exporter(export: Export) -> SpanExporter | None:
    """Make what sends spans where the environment says; None: nowhere."""
    if export.exporter == "none":
        return None
    if export.exporter == "console":
        return ConsoleSpanExporter()
    sender: SpanExporter = over_otlp(export, "traces")
    return sender
