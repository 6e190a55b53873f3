"""Listens to the gateway and tells OpenTelemetry and Prometheus what it hears."""

from gateway.contract import Rerank, Reranked
from gateway.events import CacheRead, Event, FlightJoined
from gateway.observing import Call, Count
from gateway.telemetry import calls, reranks
from gateway.telemetry.attempts import AttemptWatch
from gateway.telemetry.calls import CallWatch
from gateway.telemetry.content import Content
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.items import ItemWatch
from gateway.telemetry.reranks import RerankWatch
from gateway.telemetry.spans import Spans, link_to
from gateway.telemetry.stages import DiversityWatch, RetrievalWatch


class Telemetry:
    """An `Observer`, and an `Emit` for what is no metric but part of a span.

    Args:
        spans: Opens spans.
        instruments: Count.
        content: What may be shown.

    """

    def __init__(
        self, *, spans: Spans, instruments: Instruments, content: Content
    ) -> None:
        self._spans = spans
        self._instruments = instruments
        self._content = content

    def __call__(self, event: Event) -> None:
        """Hear that a memory was looked into, or that a call waits for another one."""
        if not isinstance(event, CacheRead | FlightJoined):
            return
        rerank = reranks.current.get()
        if rerank is None:
            return
        if isinstance(event, CacheRead):
            rerank.remembered = True
        else:
            rerank.coalesced = True
            link_to(rerank.open, event.flight)

    def call(self, call: Call, /) -> CallWatch:
        """Watch one RPC."""
        return CallWatch(self._spans, self._instruments, self._content, call)

    def item(self) -> ItemWatch:
        """Watch one of the many requests of a call."""
        return ItemWatch(self._instruments, calls.current.get())

    def retrieval(self, *, requested: str) -> RetrievalWatch:
        """Watch stage 1 of a search."""
        if call := calls.current.get():
            call.requested = requested
        return RetrievalWatch(self._spans, self._instruments, self._content)

    def diversity(self) -> DiversityWatch:
        """Watch MMR choose."""
        return DiversityWatch(self._spans, self._instruments)

    def rerank(self, ask: Rerank, /, *, budget_s: float) -> RerankWatch:
        """Watch a rerank."""
        return RerankWatch(
            self._spans,
            self._instruments,
            self._content,
            ask=ask,
            budget_s=budget_s,
            call=calls.current.get(),
        )

    def repeated(self, ask: Rerank, reranked: Reranked, /) -> Count:
        """Give what counts the same rerank again, all of it from memory."""
        return reranks.repeated(ask, reranked, self._instruments)

    def attempt(
        self, *, backend: str, remote: bool, document_count: int, work: str = "score"
    ) -> AttemptWatch:
        """Watch one call to a backend."""
        number = 0
        if rerank := reranks.current.get():
            rerank.attempts += 1
            number = rerank.attempts
        return AttemptWatch(
            self._spans,
            self._instruments,
            backend=backend,
            remote=remote,
            work=work,
            document_count=document_count,
            number=number,
        )
