"""The caller's trace goes on in the gateway."""

from opentelemetry import baggage
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    TraceFlags,
    TraceState,
    use_span,
)
from played import Played, serving

from rerank_client import AsyncRerankClient, RerankClient


def a_caller() -> NonRecordingSpan:
    return NonRecordingSpan(
        SpanContext(
            trace_id=0xA,
            span_id=0xB,
            is_remote=True,
            trace_flags=TraceFlags(1),
            trace_state=TraceState([("vendor", "x")]),
        )
    )


def test_the_current_span_goes_with_every_call() -> None:
    played = Played()
    with serving(played) as address, RerankClient(address) as client:
        with use_span(a_caller()):
            client.rerank("q", ["a"])
            list(client.rerank_batch([]))
            list(client.search_progressive("q"))
        client.rerank("q", ["a"])
    *traced, bare = (call.metadata for call in played.calls)
    for metadata in traced:
        assert metadata["traceparent"] == f"00-{0xA:032x}-{0xB:016x}-01"
        assert metadata["tracestate"] == "vendor=x"
    assert "traceparent" not in bare


async def test_it_is_the_span_of_the_task() -> None:
    played = Played()
    with serving(played) as address:
        async with AsyncRerankClient(address) as client:
            tracer = TracerProvider().get_tracer("test")
            with tracer.start_as_current_span("caller") as span:
                await client.rerank("q", ["a"])
    context = span.get_span_context()
    sent = played.calls[0].metadata["traceparent"]
    assert str(sent).startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")


def test_baggage_stays_at_home() -> None:
    played = Played()
    token = attach(baggage.set_baggage("user", "private"))
    try:
        with serving(played) as address, RerankClient(address) as client:
            client.rerank("q", ["a"])
    finally:
        detach(token)
    assert "baggage" not in played.calls[0].metadata
