"""One of the many requests of a call: counted as if it were one itself, and no span."""

import time
from types import TracebackType
from typing import Self

from gateway.contract import Reranked
from gateway.observing import trace_id
from gateway.telemetry.calls import NO_RERANK, Asking, CallWatch, current
from gateway.telemetry.instruments import Instruments


class ItemWatch:
    """Watches one request.

    Args:
        instruments: Count it.
        call: That brings it; None: nobody watches that.

    """

    __slots__ = (
        "_before",
        "_began",
        "_call",
        "_instruments",
        "_reranked",
        "cache_result",
        "requested",
    )

    def __init__(self, instruments: Instruments, call: Asking | None) -> None:
        self._instruments = instruments
        self._call = call if isinstance(call, CallWatch) else None
        self._reranked: Reranked | None = None
        self._before: Asking | None
        self._began: float
        self.requested = ""
        self.cache_result = NO_RERANK

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.perf_counter()
        self._before = current.get()
        current.set(self)
        return self

    def __call__(self, reranked: Reranked) -> None:
        """Learn what became of it."""
        self._reranked = reranked

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Count it, unless it was given up."""
        current.set(self._before)
        if error is not None:
            return
        reranked = self._reranked
        if self._call:
            self._call.requests += 1
            self._call.refused += reranked is None
            self._call.fell_back += reranked is not None and reranked.fallback_triggered
        if reranked:
            self._instruments.request_ended(
                search_method=reranked.search_method,
                cache_result=self.cache_result,
                duration_s=time.perf_counter() - self._began,
                trace_id=trace_id.get(),
            )
