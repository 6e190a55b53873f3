"""Decide about a trace when it is over: keep what somebody will want to look at.

For gateways that send to a place that bills by the span and have no collector in between
to decide for them. Only this process's part of a trace is known here.
"""

from collections import OrderedDict

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import StatusCode

from gateway.telemetry import semconv
from gateway.telemetry.exporting import Delivery

_MOST_TRACES = 2000
"""That wait for their end at once. Each of a few kilobytes."""

_NANOS = 1_000_000_000
_RANDOM_PART = 2**56


class Tail(SpanProcessor):
    """Passes on the traces with an error, a fallback or a slow call, and some others.

    Also those whose caller asked how the answer came about.

    The spans of a trace wait until the RPC that they belong to ends. Those that end later
    follow it, or are left out with it, as long as it is remembered.

    Args:
        after: Gets what is kept.
        slow_s: A call that takes longer is kept.
        share: Of the other traces, by their ids: all gateways keep the same ones.
        delivery: Counts spans that could not wait, since too many did.

    """

    def __init__(
        self,
        after: SpanProcessor,
        *,
        slow_s: float,
        share: float,
        delivery: Delivery,
    ) -> None:
        self._after = after
        self._slow_ns = slow_s * _NANOS
        self._share = share
        self._delivery = delivery
        self._waiting: OrderedDict[int, list[ReadableSpan]] = OrderedDict()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on."""
        self._after.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Let it wait, or decide about all of its trace."""
        trace = _trace_of(span)
        waiting = self._waiting.setdefault(trace, [])
        waiting.append(span)
        if span.parent is None or span.parent.is_remote:
            del self._waiting[trace]
            if self._is_kept(span, waiting):
                for each in waiting:
                    self._after.on_end(each)
        elif len(self._waiting) > _MOST_TRACES:
            _, left_out = self._waiting.popitem(last=False)
            self._delivery.refused += len(left_out)

    def shutdown(self) -> None:
        """End."""
        self._waiting.clear()
        self._after.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is decided."""
        return self._after.force_flush(timeout_millis)

    def _is_kept(self, root: ReadableSpan, spans: list[ReadableSpan]) -> bool:
        if any(_is_notable(span) for span in spans):
            return True
        began, ended = root.start_time, root.end_time
        if began is not None and ended is not None and ended - began > self._slow_ns:
            return True
        # The last seven bytes of an id are random, by W3C's recommendation.
        part = _trace_of(root) % _RANDOM_PART
        return part < self._share * _RANDOM_PART


def _trace_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    return context.trace_id if context else 0


def _is_notable(span: ReadableSpan) -> bool:
    attributes = span.attributes or {}
    return (
        span.status.status_code is StatusCode.ERROR
        or semconv.FALLBACK_REASON in attributes
        or semconv.DEBUG in attributes
    )
