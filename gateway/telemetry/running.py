"""Put telemetry together as the configuration and `OTEL_*` want it, and take it apart."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version

from opentelemetry.sdk.resources import (
    SERVICE_INSTANCE_ID,
    SERVICE_NAME,
    SERVICE_VERSION,
    Resource,
)
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.id_generator import IdGenerator

from gateway.backends.posting import UNWATCHED, Wire
from gateway.events import Event
from gateway.observing import UNOBSERVED, Observer
from gateway.settings import TelemetrySettings
from gateway.siblings import ALONE, Siblings
from gateway.telemetry import complaints, semconv
from gateway.telemetry.aside import aside
from gateway.telemetry.content import Content
from gateway.telemetry.exporting import Batches, Delivery, span_exporter
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.log_records import LogRecords, logger_provider
from gateway.telemetry.measures import Measures
from gateway.telemetry.observer import Telemetry
from gateway.telemetry.push import Push, exporter
from gateway.telemetry.scrape import scrape
from gateway.telemetry.spans import Spans
from gateway.telemetry.tail import Tail
from gateway.telemetry.wire import TracedWire

_NAME = "rerank-gateway"

_CLOSING_S = 2.5
"""For what was not sent yet, of all signals together; then it is left behind."""

_MOST_WAITING = 4096
"""Spans that may wait to be sent: some seconds of a busy gateway."""


@dataclass(frozen=True, slots=True)
class Running:
    """Telemetry at work."""

    observer: Observer
    listeners: tuple[Callable[[Event], None], ...]
    """Told of events."""
    instruments: Instruments
    propagates: bool
    """Whether traces go on in backends."""
    metrics_address: str = ""
    """HOST:PORT of the endpoint for Prometheus; empty: there is none."""

    def wire(self, url: str, *, propagate: bool) -> Wire:
        """Watch the calls to an endpoint.

        Args:
            url: The endpoint.
            propagate: Whether it takes part in our traces.

        """
        if not self.propagates:
            return UNWATCHED
        return TracedWire(url, propagate=propagate)


@asynccontextmanager
async def telemetry(
    settings: TelemetrySettings,
    *,
    ids: IdGenerator | None = None,
    siblings: Siblings = ALONE,
    secure: ssl.SSLContext | None = None,
) -> AsyncIterator[Running]:
    """Listen while the block runs, and send what is left at its end, within 3 s.

    Where nothing is exported nothing is made, and nobody listens.

    Args:
        settings: What is told, and where it goes.
        ids: Makes the ids of traces and spans; None: at random.
        siblings: The processes that serve together: of several, none has an endpoint for
            Prometheus of its own.
        secure: What handshakes with that endpoint go by; None: no TLS.

    Raises:
        AddressError: The endpoint for Prometheus cannot listen where it should.

    """
    with complaints.said_now_and_then():
        async with _running(settings, ids, siblings, secure) as running:
            yield running


@asynccontextmanager
async def _running(
    settings: TelemetrySettings,
    ids: IdGenerator | None,
    siblings: Siblings,
    secure: ssl.SSLContext | None,
) -> AsyncIterator[Running]:
    counts = bool(settings.metrics_address) or settings.metrics.exporter != "none"
    sender = span_exporter(settings.traces)
    resource = _resource(siblings)
    instruments = Instruments()
    closing: list[Callable[[], None]] = []
    listeners: list[Callable[[Event], None]] = []
    tracer = None
    if sender:
        delivery = Delivery()
        processor: SpanProcessor = Batches(
            sender, delivery=delivery, most=_MOST_WAITING
        )
        if settings.keep == "notable":
            processor = Tail(
                processor,
                slow_s=settings.slow_s,
                share=settings.keep_share,
                delivery=delivery,
            )
        provider = TracerProvider(
            resource=resource, id_generator=ids, shutdown_on_exit=False
        )
        provider.add_span_processor(processor)
        instruments.watch_export("traces", dropped=lambda: delivery.dropped)
        tracer = provider.get_tracer(semconv.SCOPE)
        closing.append(provider.shutdown)
    if logs := logger_provider(settings.logs, resource):
        listeners.append(LogRecords(logs.get_logger(semconv.SCOPE)))
        closing.append(logs.shutdown)
    observer: Observer = UNOBSERVED
    if counts or tracer:
        content = Content(texts=settings.capture_content, ids=settings.document_ids)
        if tracer:
            content.announce()
        heard = Telemetry(spans=Spans(tracer), instruments=instruments, content=content)
        observer = heard
        listeners += [heard, Measures(instruments)]
    ending = _Ending(closing)
    async with AsyncExitStack() as parts:
        parts.push_async_callback(ending.waited)
        if settings.metrics.exporter != "none":
            push = Push(
                instruments=instruments,
                exporter=exporter(settings),
                resource=resource,
                interval_s=settings.metrics_interval_s,
            )
            await parts.enter_async_context(push.running())
        # First to end, beside the last push: a collector that does not answer one of them
        # answers none.
        parts.callback(ending.begin)
        address = ""
        if settings.metrics_address and siblings.count == 1:
            address = await parts.enter_async_context(
                scrape(
                    instruments.families,
                    settings.metrics_address,
                    secure=secure,
                    key_sha256=settings.metrics_sha256,
                )
            )
        yield Running(
            observer=observer,
            listeners=tuple(listeners),
            instruments=instruments,
            propagates=tracer is not None,
            metrics_address=address,
        )


class _Ending:
    """Closes what sends, all at once, and waits no longer than all may take together."""

    def __init__(self, closing: list[Callable[[], None]]) -> None:
        self._closing = closing
        self._under_way: list[asyncio.Future[None]] = []
        self._until = 0.0

    def begin(self) -> None:
        self._until = asyncio.get_running_loop().time() + _CLOSING_S
        self._under_way = [aside(close) for close in self._closing]

    async def waited(self) -> None:
        if self._under_way:
            left_s = self._until - asyncio.get_running_loop().time()
            await asyncio.wait(self._under_way, timeout=max(left_s, 0))


def _resource(siblings: Siblings) -> Resource:
    """Say who tells all this; what `OTEL_*` says of it counts more than we do.

    Several processes are several instances, also where one name is given for them.
    """
    said = Resource.create()
    ours = Resource(
        {
            SERVICE_NAME: _NAME,
            SERVICE_VERSION: version(_NAME),
            SERVICE_INSTANCE_ID: str(uuid.uuid4()),
        }
    )
    told = dict(said.attributes)
    if str(told.get(SERVICE_NAME, "")).startswith("unknown_service"):
        del told[SERVICE_NAME]
    all_of_it = ours.merge(Resource(told))
    instance = said.attributes.get(SERVICE_INSTANCE_ID)
    if siblings.count > 1 and instance:
        own = Resource({SERVICE_INSTANCE_ID: f"{instance}/{siblings.place}"})
        return all_of_it.merge(own)
    return all_of_it
