"""Open a span below the one that is open here, or none where the trace is not recorded.

Which span is open is known by the context, which every task takes from the one that
begins it: a call to a backend finds its request, whoever made tasks in between.
"""

from collections.abc import Mapping, Sequence
from contextvars import Context, ContextVar

from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.propagate import get_global_textmap
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from gateway.observing import trace_id
from gateway.telemetry import semconv

Attributes = Mapping[str, AttributeValue]

_here: ContextVar[Span | None] = ContextVar("span", default=None)


class Open:
    """A span, or none: what is said of none is forgotten.

    Args:
        span: None: there is nothing to record.
        before: What was open until now.

    """

    __slots__ = ("_before", "_traced_before", "span")

    def __init__(self, span: Span | None, before: Span | None) -> None:
        self.span = span
        self._before = before
        self._traced_before = trace_id.get()

    @property
    def recorded_as(self) -> str:
        """The trace's id, 32 hexadecimal digits; empty: it is not recorded."""
        if self.span is None:
            return ""
        return trace.format_trace_id(self.span.get_span_context().trace_id)

    def say(self, attributes: Attributes) -> None:
        """Add attributes."""
        if self.span is not None:
            self.span.set_attributes(attributes)

    def close(self, error_type: str = "") -> None:
        """End it.

        Args:
            error_type: Why it failed; empty: it did not. The message of what was raised
                stays out: it may quote a document or a key.

        """
        # Not by a token: a generator may be closed in another context than its own.
        _here.set(self._before)
        trace_id.set(self._traced_before)
        if self.span is None:
            return
        if error_type:
            self.span.set_attribute(semconv.ERROR_TYPE, error_type)
            self.span.set_status(Status(StatusCode.ERROR))
        self.span.end()

    def drop(self) -> None:
        """Leave it unsaid: a span that does not end is not sent."""
        _here.set(self._before)


class Spans:
    """Opens spans.

    Args:
        tracer: Makes them; None: none are made.

    """

    def __init__(self, tracer: Tracer | None) -> None:
        self._tracer = tracer
        self._propagator = get_global_textmap()
        # Made anew each time it is asked for.
        self._fields = frozenset(self._propagator.fields)

    def of_call(
        self,
        name: str,
        metadata: Sequence[tuple[str, str | bytes]],
        attributes: Attributes,
    ) -> Open:
        """Open the span of an RPC, below the caller's, if it sent one.

        Args:
            name: Of the span.
            metadata: As the caller sent it.
            attributes: Of the span.

        """
        if self._tracer is None:
            return Open(None, None)
        fields = self._fields
        carrier = {
            key: value
            for key, value in metadata
            if key in fields and isinstance(value, str)
        }
        span = self._tracer.start_span(
            name,
            context=self._propagator.extract(carrier) if carrier else None,
            kind=SpanKind.SERVER,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        recorded = span.is_recording()
        opened = Open(span if recorded else None, None)
        # Also where it is not recorded: whoever comes next must not record either.
        _here.set(span)
        if recorded:
            trace_id.set(opened.recorded_as)
        return opened

    def inner(self, name: str, attributes: Attributes, *, remote: bool = False) -> Open:
        """Open a span below the one that is open here.

        Args:
            name: Of the span; never an id, a model or a text.
            attributes: Of the span.
            remote: Another process does the work.

        """
        before = _here.get()
        if self._tracer is None or before is None or not before.is_recording():
            return Open(None, before)
        span = self._tracer.start_span(
            name,
            context=trace.set_span_in_context(before),
            kind=SpanKind.CLIENT if remote else SpanKind.INTERNAL,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        _here.set(span)
        return Open(span, before)


def here() -> OtelContext | None:
    """Give the span that is open here in OpenTelemetry's own terms; None: there is none."""
    span = _here.get()
    return None if span is None else trace.set_span_in_context(span)


def say_here(attributes: Attributes) -> None:
    """Add attributes to the span that is open here, if any is."""
    span = _here.get()
    if span is not None and span.is_recording():
        span.set_attributes(attributes)


def records_here() -> bool:
    """Tell whether a span is open here that is recorded."""
    span = _here.get()
    return span is not None and span.is_recording()


def name_here(name: str) -> None:
    """Name the span that is open here, if any is, once it is known what it is of."""
    span = _here.get()
    if span is not None and span.is_recording():
        span.update_name(name)


def outgoing() -> dict[str, str]:
    """Give the headers that let the next process go on with the trace."""
    span = _here.get()
    if span is None:
        return {}
    said = span.get_span_context()
    if not said.is_valid:
        return {}
    # As W3C has it; OpenTelemetry's propagator would want a context to find it in, and
    # every call goes this way, recorded or not.
    trace_and_span = f"{said.trace_id:032x}-{said.span_id:016x}"
    headers = {"traceparent": f"00-{trace_and_span}-{said.trace_flags:02x}"}
    if said.trace_state:
        headers["tracestate"] = said.trace_state.to_header()
    return headers


def link_to(opened: Open, flight: Context) -> None:
    """Say that the work of this span is done in that of another call.

    Args:
        opened: The span of who waits.
        flight: The context of who began.

    """
    other = flight.get(_here)
    if opened.span is not None and other is not None:
        opened.span.add_link(other.get_span_context())
