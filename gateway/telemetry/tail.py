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
_MOST_SPANS = 2000
"""Of one trace that wait: a `RerankBatch` may have any number."""

_NANOS = 1_000_000_000
_RANDOM_PART = 2**56


class Tail(SpanProcessor):
    """Passes on the traces with an error, a fallback or a slow call, and some others.

    Also those whose caller asked how the answer came about.

    The spans of a trace wait until the last RPC that they may belong to ends. Those that
    end later follow it, or are left out with it, as long as it is remembered.

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
        self._calls: dict[int, int] = {}
        """Of each trace: how many RPCs are under way."""
        self._kept: OrderedDict[int, bool] = OrderedDict()
        """What was decided about the last traces."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass on."""
        if _is_call(span):
            trace = _trace_of(span)
            self._calls[trace] = self._calls.get(trace, 0) + 1
        self._after.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Let it wait, or decide about all of its trace."""
        trace = _trace_of(span)
        if trace not in self._calls:  # its call left before it
            if self._kept.get(trace):
                self._after.on_end(span)
            return
        waiting = self._waiting.setdefault(trace, [])
        if len(waiting) < _MOST_SPANS or _is_call(span):
            waiting.append(span)
        else:
            self._delivery.refused += 1
            if _is_notable(span):  # what is left of its trace will be looked at
                self._kept[trace] = True
        if _is_call(span):
            self._calls[trace] -= 1
            if not self._calls[trace]:
                self._decide(trace)
        elif len(self._waiting) > _MOST_TRACES:
            _, left_out = self._waiting.popitem(last=False)
            self._delivery.refused += len(left_out)

    def _decide(self, trace: int) -> None:
        del self._calls[trace]
        spans = self._waiting.pop(trace)
        kept = self._kept.get(trace, False) or self._is_kept(trace, spans)
        self._kept[trace] = kept
        if len(self._kept) > _MOST_TRACES:
            self._kept.popitem(last=False)
        if kept:
            for each in spans:
                self._after.on_end(each)

    def shutdown(self) -> None:
        """End."""
        self._waiting.clear()
        self._after.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Send what is decided."""
        return self._after.force_flush(timeout_millis)

    def _is_kept(self, trace: int, spans: list[ReadableSpan]) -> bool:
        if any(_is_notable(span) or self._is_slow(span) for span in spans):
            return True
        # The last seven bytes of an id are random, by W3C's recommendation.
        return trace % _RANDOM_PART < self._share * _RANDOM_PART

    def _is_slow(self, span: ReadableSpan) -> bool:
        began, ended = span.start_time, span.end_time
        if not _is_call(span) or began is None or ended is None:
            return False
        return ended - began > self._slow_ns


def _is_call(span: ReadableSpan) -> bool:
    return span.parent is None or span.parent.is_remote


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
