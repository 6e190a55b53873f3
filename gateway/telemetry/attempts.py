"""One call to a backend, as a span and as numbers."""

import time
from types import TracebackType
from typing import Self

from gateway.backends.errors import Attempt
from gateway.telemetry import semconv
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.spans import Open, Spans

# The method of a call that goes out, unless it is an RPC, which has a name of its own; one
# to a model in this process has none.
_POST = "POST"

_CANCELLED = "cancelled"
"""Given up by whoever asked: the caller left, or another attempt was faster."""


class AttemptWatch:
    """Watches one call to a backend.

    Args:
        spans: Opens its span.
        instruments: Counts it.
        backend: Its configured name.
        remote: It runs in another process.
        work: What it is asked to do; it names the span of what is not remote.
        document_count: How many documents it is asked about.
        number: Which attempt of its rerank it is, from 1; 0: it is none of a rerank.

    """

    __slots__ = (
        "_attributes",
        "_backend",
        "_began",
        "_ended",
        "_instruments",
        "_open",
        "_remote",
        "_spans",
        "_work",
    )

    def __init__(
        self,
        spans: Spans,
        instruments: Instruments,
        *,
        backend: str,
        remote: bool,
        work: str,
        document_count: int,
        number: int,
    ) -> None:
        self._spans = spans
        self._instruments = instruments
        self._backend = backend
        self._remote = remote
        self._work = work
        self._attributes: dict[str, str | int] = {
            semconv.BACKEND: backend,
            semconv.CANDIDATES: document_count,
        }
        if number:
            self._attributes[semconv.ATTEMPT] = number
        self._began: float
        self._ended: Attempt | None = None
        self._open: Open

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.perf_counter()
        self._instruments.attempt_began(self._backend)
        self._open = self._spans.inner(
            _POST if self._remote else self._work, self._attributes, remote=self._remote
        )
        return self

    def __call__(self, attempt: Attempt) -> None:
        """Learn how it ended."""
        self._ended = attempt

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        ended = self._ended
        if ended is None:
            error_type = _CANCELLED
        else:
            error_type = ended.failure.lower() if ended.failure else ""
            if ended.model:
                self._open.say({semconv.MODEL: ended.model})
        self._instruments.attempt_ended(
            self._backend,
            error_type=error_type,
            duration_s=ended.duration_s if ended else time.perf_counter() - self._began,
            trace_id=self._open.recorded_as,
        )
        self._open.close(error_type)
