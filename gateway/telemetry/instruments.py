"""What counts: told of what happened in plain values, it knows where each belongs.

Whoever records cannot misspell a name. All is recorded on the event loop, and what only
has a value when somebody looks is read when somebody does.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Metric,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from gateway.backends.errors import FailureReason
from gateway.events import CircuitState
from gateway.telemetry import catalogue, semconv
from gateway.telemetry.configurations import Configurations
from gateway.telemetry.series import Counting, Measuring, Sorting
from gateway.telemetry.summing import in_words
from gateway.telemetry.tenant_numbers import TenantNumbers

Read = Callable[[], float]
"""Tells a number as it is now."""

CacheResult = Literal["hit", "partial", "miss", "coalesced", "bypass"]
Extra = Literal["retry", "hedge"]

_RESULTS: Final[tuple[CacheResult, ...]] = get_args(CacheResult)
_STATES: Final = tuple(CircuitState)


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankEnd:
    """How one reranking ended."""

    cache_result: CacheResult
    candidate_count: int
    budget_s: float
    """The time that it had; infinite: as much as it wanted."""
    fallback_reason: FailureReason | None = None
    """None: it did not fall back."""
    failed_backend: str = ""
    """Who was to answer, where it fell back."""
    backend: str = ""
    """Who scored; empty: nobody, and what follows means nothing."""
    model: str = ""
    best_score: float | None = None
    """A probability; None: it is none, or there is no result."""
    displacement: float | None = None
    """None: fewer than two documents were ranked."""
    top1_changed: bool | None = None
    """None: there is no result."""
    search_units: float = 0.0
    tokens: int = 0


class Instruments:
    """All instruments, and the registry that shows them.

    Args:
        registry: Where they are shown; None: one of its own.

    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        # A second series for each counter, of when it began: the process says that once.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # half typed
        self.registry = registry = registry or CollectorRegistry()
        self.began_unix_ns = time.time_ns()
        """When everything was 0."""
        self._readings: list[Callable[[], None]] = []
        self._calls = Sorting(catalogue.CALL_DURATION, registry)
        self._requests = Sorting(catalogue.REQUEST_DURATION, registry)
        self._stages = Sorting(catalogue.STAGE_DURATION, registry)
        self._attempts = Sorting(catalogue.ATTEMPT_DURATION, registry)
        self._fallbacks = Counting(catalogue.FALLBACKS, registry)
        self._candidates = Sorting(catalogue.CANDIDATES, registry)
        self._budgets = Sorting(catalogue.BUDGET, registry)
        self._lookups = Counting(catalogue.CACHE_LOOKUPS, registry)
        self._pairs = Counting(catalogue.CACHE_PAIRS, registry)
        self._evictions = Counting(catalogue.CACHE_EVICTIONS, registry)
        self._entries = Measuring(catalogue.CACHE_ENTRIES, registry)
        self._size = Measuring(catalogue.CACHE_SIZE, registry)
        self._cache_failures = Counting(catalogue.CACHE_FAILURES, registry)
        self._circuits = Measuring(catalogue.CIRCUIT_STATE, registry)
        self._in_flight = Measuring(catalogue.IN_FLIGHT, registry)
        self._extra = Counting(catalogue.EXTRA_CALLS, registry)
        self._billed = Counting(catalogue.BILLED_UNITS, registry)
        self.tenants = TenantNumbers(registry)
        self._scores = Sorting(catalogue.SCORE, registry)
        self._displacements = Sorting(catalogue.DISPLACEMENT, registry)
        self._top1 = Counting(catalogue.TOP1, registry)
        self._lag = Measuring(catalogue.LOOP_LAG, registry)
        self._serving = Measuring(catalogue.SERVER_IN_FLIGHT, registry)
        self._dropped = Counting(catalogue.DROPPED, registry)
        self.configurations = Configurations(registry)
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        for result in _RESULTS:
            self._lookups.add(0, result)

    # What is told as it happens.

    def call_ended(
        self,
        *,
        method: str,
        status: str,
        error_type: str,
        duration_s: float,
        trace_id: str = "",
    ) -> None:
        """Count one RPC.

        Args:
            method: `package.Service/Method`.
            status: The name of the status that the caller got.
            error_type: Empty unless that is a server's error.
            duration_s: From its beginning to its end.
            trace_id: Of its trace; empty: it was not sampled.

        """
        self._calls.record(
            duration_s, semconv.GRPC, method, status, error_type, trace_id=trace_id
        )

    def request_ended(
        self,
        *,
        search_method: str,
        cache_result: str,
        duration_s: float,
        trace_id: str = "",
    ) -> None:
        """Count one answer with results.

        Args:
            search_method: Of the answer.
            cache_result: How the memory of scores took part; `none`: no rerank was asked.
            duration_s: From the call's beginning to its end.
            trace_id: Of its trace; empty: it was not sampled.

        """
        self._requests.record(
            duration_s, search_method, cache_result, trace_id=trace_id
        )

    def stage_ended(self, stage: str, duration_s: float, *, trace_id: str = "") -> None:
        """Count one stage."""
        self._stages.record(duration_s, stage, trace_id=trace_id)

    def attempt_began(self, backend: str) -> None:
        """Count a call to a backend as not answered; `attempt_ended` must follow."""
        self._in_flight.add(1, backend)

    def attempt_ended(
        self, backend: str, *, error_type: str, duration_s: float, trace_id: str = ""
    ) -> None:
        """Count a call to a backend that began; an empty `error_type`: it answered."""
        self._in_flight.add(-1, backend)
        self._attempts.record(duration_s, backend, error_type, trace_id=trace_id)

    def rerank_ended(self, end: RerankEnd) -> None:
        """Count one reranking."""
        self._lookups.add(1, end.cache_result)
        self._candidates.record(end.candidate_count)
        self._budgets.record(end.budget_s)
        if end.fallback_reason:
            reason = end.fallback_reason.lower()
            self._fallbacks.add(1, reason, end.failed_backend)
        if not end.backend:
            return
        if end.best_score is not None:
            self._scores.record(end.best_score, end.backend, end.model)
        if end.displacement is not None:
            self._displacements.record(end.displacement, end.backend, end.model)
        if end.top1_changed is not None:
            changed = "true" if end.top1_changed else "false"
            self._top1.add(1, changed, end.backend)
        if end.search_units:
            self._billed.add(end.search_units, end.backend, "search_units")
        if end.tokens:
            self._billed.add(end.tokens, end.backend, "tokens")

    def cache_read(self, tier: str, *, hits: int, misses: int) -> None:
        """Count the pairs that a memory was asked for."""
        self._pairs.add(hits, tier, "hit")
        self._pairs.add(misses, tier, "miss")

    def cache_failed(self) -> None:
        """Count a memory that did not answer."""
        self._cache_failures.add(1)

    def called_again(self, backend: str, why: Extra) -> None:
        """Count a call beyond the first one."""
        self._extra.add(1, backend, why)

    def circuit_changed(self, backend: str, now: CircuitState) -> None:
        """Note the state that a circuit is in."""
        for state in _STATES:
            self._circuits.set(state is now, backend, state.lower())

    def forget_circuit(self, server: str) -> None:
        """Show a circuit no more: it belongs to no backend that is asked."""
        for state in _STATES:
            self._circuits.forget(server, state.lower())

    def dropped(self, signal: str, count: int = 1) -> None:
        """Count what was not sent."""
        self._dropped.add(count, signal)

    # What is there from the beginning: a rate needs a 0 to rise from.

    def expect_backend(self, backend: str, *, servers: Sequence[str] = ()) -> None:
        """Show a backend of which nothing is known yet.

        Args:
            backend: Its configured name.
            servers: The names of its servers, each with a circuit; none: it is one.

        """
        for server in servers or (backend,):
            self.circuit_changed(server, CircuitState.CLOSED)
        self._in_flight.add(0, backend)
        for why in ("retry", "hedge"):
            self._extra.add(0, backend, why)

    def expect_fallbacks(self, backend: str) -> None:
        """Show the fallbacks of a backend that a route begins with."""
        for reason in FailureReason:
            self._fallbacks.add(0, reason.lower(), backend)

    # What has a value when somebody looks.

    def watch_memory(
        self, *, entries: Read, used_bytes: Read, expired: Read, displaced: Read
    ) -> None:
        """Show the memory of this process.

        Args:
            entries: How many scores it remembers.
            used_bytes: How much room they take.
            expired: How many it forgot so far because their time was over.
            displaced: How many it forgot so far for want of room.

        """
        self._readings += (
            _shown(self._entries, entries),
            _shown(self._size, used_bytes),
            _added(self._evictions, expired, "ttl"),
            _added(self._evictions, displaced, "capacity"),
        )

    def watch_server(self, *, lag_s: Read, in_flight: Read) -> None:
        """Show how busy the process is."""
        self._readings += (_shown(self._lag, lag_s), _shown(self._serving, in_flight))

    def watch_export(self, signal: str, *, dropped: Read) -> None:
        """Show what was not sent of one signal, such as `traces`."""
        self._readings.append(_added(self._dropped, dropped, signal))

    async def families(self) -> list[Metric]:
        """Give all numbers as they are now."""
        self.look()
        # Some milliseconds for a thousand series: not on the loop.
        return await asyncio.to_thread(lambda: list(self.registry.collect()))

    async def numbers(self) -> list[Any]:
        """Give them in such a way that they can be sent, and added up elsewhere."""
        return in_words(await self.families())

    def look(self) -> None:
        """Read all that is watched: before numbers are shown, on the event loop."""
        for read in self._readings:
            read()


def _shown(gauge: Measuring, read: Read) -> Callable[[], None]:
    return lambda: gauge.set(read())


def _added(counter: Counting, read: Read, *values: str) -> Callable[[], None]:
    before = 0.0

    def add() -> None:
        nonlocal before
        total = read()
        counter.add(total - before, *values)
        before = total

    return add
