"""The caller's trace, so that the gateway's spans become part of it.

Needs the extra `opentelemetry`. Without it, nothing is sent.
"""

try:
    from opentelemetry.trace.propagation.tracecontext import (
        TraceContextTextMapPropagator,
    )
except ImportError:  # pragma: no cover - the tests run it in a process of its own
    _W3C = None
else:
    # Not the process's own propagator, which may send more: baggage is nobody's business.
    _W3C = TraceContextTextMapPropagator()


def trace_context() -> dict[str, str]:
    """Give `traceparent` and `tracestate` of the current span, as far as there is one."""
    carrier: dict[str, str] = {}
    if _W3C is not None:
        _W3C.inject(carrier)
    return carrier
