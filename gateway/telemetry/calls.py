"""One RPC, as a span and as numbers."""

from contextvars import ContextVar
from types import TracebackType
from typing import Protocol, Self

from opentelemetry.util.types import AttributeValue

from gateway.observing import Call, CallEnd
from gateway.telemetry import semconv
from gateway.telemetry.content import Content
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.results import arrays
from gateway.telemetry.spans import Open, Spans
from rerank.v1 import execution_pb2, rerank_service_pb2, search_service_pb2

NO_RERANK = "none"
_MESSAGE = "rerank_gateway.message.sent"


Answer = rerank_service_pb2.RerankResponse | search_service_pb2.SearchResponse

# As on the wire, in lower case: what is not said is not there.
_OUTCOMES = {
    number: name.removeprefix("OUTCOME_").lower()
    for name, number in execution_pb2.Outcome.items()
}
_REASONS = {
    number: name.removeprefix("FALLBACK_REASON_").lower()
    for name, number in execution_pb2.FallbackReason.items()
    if number
}


class Asking(Protocol):
    """What a rerank is done for."""

    requested: str
    """The method of the answer if all that was asked for succeeds."""
    cache_result: str
    """How the memory of scores took part."""


class CallWatch:
    """Watches one RPC.

    Args:
        spans: Opens its span.
        instruments: Counts it.
        content: What may be shown.
        call: What began.

    """

    __slots__ = (
        "_answer",
        "_before",
        "_call",
        "_content",
        "_instruments",
        "_open",
        "_spans",
        "cache_result",
        "fell_back",
        "refused",
        "requested",
        "requests",
    )

    def __init__(
        self, spans: Spans, instruments: Instruments, content: Content, call: Call
    ) -> None:
        self._spans = spans
        self._instruments = instruments
        self._content = content
        self._call = call
        self._answer: Answer | None = None
        self.requested = ""
        self.cache_result = NO_RERANK
        self.requests = 0
        """Of one that brings many: how many there were."""
        self.refused = 0
        """Of these, those whose answer was an error."""
        self.fell_back = 0
        """Of these, those whose answer says that something degraded."""
        self._open: Open
        self._before: Asking | None

    def __enter__(self) -> Self:
        """Begin."""
        method = self._call.method
        self._open = self._spans.of_call(
            semconv.GRPC if method == semconv.OTHER else method,
            self._call.metadata,
            {
                semconv.SPAN_KIND: semconv.CHAIN,
                semconv.RPC_METHOD: method,
                **({semconv.DEBUG: True} if self._call.debug else {}),
                **_over(self._call.face),
                **_of(self._call.tenant),
            },
        )
        self._before = current.get()
        current.set(self)
        return self

    def answered(self, request: object, response: object) -> None:
        """Keep what the caller gets, and say that a message of several went out."""
        if isinstance(response, search_service_pb2.SearchProgressiveResponse):
            self._answer = response.search_response
        elif isinstance(response, Answer):
            self._answer = response
        span = self._open.span
        if span is None:
            return
        if self._content.texts:
            span.set_attributes(self._content.query(_query_of(request)))
        if self._call.streams and self._answer is not None:
            span.add_event(
                _MESSAGE,
                {
                    semconv.SEARCH_METHOD: self._answer.search_method,
                    semconv.RETURNED: len(self._answer.results),
                },
            )

    def ended(self, end: CallEnd) -> None:
        """Count it, and say what the caller got."""
        error_type = end.status if end.status in semconv.SERVER_ERRORS else ""
        self._instruments.call_ended(
            method=self._call.method,
            status=end.status,
            error_type=error_type,
            duration_s=end.duration_s,
            trace_id=self._open.recorded_as,
        )
        answer = self._answer
        if answer is not None:
            self._instruments.request_ended(
                search_method=answer.search_method,
                cache_result=self.cache_result,
                duration_s=end.duration_s,
                trace_id=self._open.recorded_as,
            )
        if self._open.span is not None:
            said: dict[str, AttributeValue] = {semconv.RPC_STATUS: end.status}
            if self.requested:
                said[semconv.REQUESTED_METHOD] = self.requested
            if self.requests:
                said[semconv.REQUESTS] = self.requests
                said[semconv.REFUSED] = self.refused
                said[semconv.FELL_BACK] = self.fell_back
            if answer is not None:
                self._add_answer(said, answer)
            self._open.say(said)
        self._open.close(error_type)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave."""
        current.set(self._before)

    def _add_answer(self, said: dict[str, AttributeValue], answer: Answer) -> None:
        execution = answer.execution
        said |= {
            semconv.SEARCH_METHOD: answer.search_method,
            semconv.OUTPUT: answer.search_method,
            semconv.OUTCOME: _OUTCOMES.get(execution.outcome, semconv.OTHER),
            semconv.CANDIDATES: execution.scored_count
            + len(execution.unscored_indexes),
            semconv.SCORED: execution.scored_count,
            semconv.CACHED: execution.cached_count,
            semconv.TRUNCATED: len(execution.truncated_indexes),
            semconv.RETURNED: len(answer.results),
        }
        # Where no rerank is wanted, it need not be the name of a route that there is.
        if execution.outcome != execution_pb2.OUTCOME_NOT_REQUESTED:
            said[semconv.ROUTE] = execution.route
        if reason := _REASONS.get(execution.fallback_reason):
            said[semconv.FALLBACK_REASON] = reason
        if answer.results:
            said |= arrays(answer.results, with_ids=self._content.ids)


def _over(face: str) -> dict[str, str]:
    """Say what the caller speaks."""
    return {semconv.FACE: face} if face else {semconv.RPC_SYSTEM: semconv.GRPC}


def _of(tenant: str) -> dict[str, str]:
    """Say who called, as far as it is proven."""
    return {semconv.TENANT: tenant} if tenant else {}


current: ContextVar[Asking | None] = ContextVar("call", default=None)
"""The call, or the request of one that brings many, that is served here."""


def _query_of(request: object) -> str:
    if isinstance(request, bytes):  # it is read where it is served
        request = rerank_service_pb2.RerankRequest.FromString(request)
    if isinstance(request, search_service_pb2.SearchProgressiveRequest):
        return request.search.query
    ranked = rerank_service_pb2.RerankRequest | search_service_pb2.SearchRequest
    return request.query if isinstance(request, ranked) else ""
