"""Every metric that there is: what it counts, and what tells its series apart.

Names are OpenTelemetry's; those for Prometheus follow from them by its rules, so that a
dashboard reads the same numbers by either way.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from gateway.telemetry import semconv

_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0),
)
"""The bounds that OpenTelemetry recommends for calls."""
_SECONDS_FINE: Final = (0.001, 0.0025, *_SECONDS)
_TENTHS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_DISTANCE: Final = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0)
_DOCUMENTS: Final = (1.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)

STATE: Final = "state"
"""Of a circuit: the name that dashboards know."""

# What Prometheus appends to a name; all other units count things and add nothing.
_SUFFIXES: Final = {"s": "seconds", "By": "bytes"}


class Kind(Enum):
    """How numbers become one."""

    COUNTER = auto()
    """They add up, and never go down."""
    UP_DOWN = auto()
    """They add up, and go down too."""
    GAUGE = auto()
    """The last one counts."""
    HISTOGRAM = auto()
    """They are sorted into buckets."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric."""

    name: str
    kind: Kind
    unit: str
    description: str
    attributes: tuple[str, ...] = ()
    """What tells its series apart."""
    bounds: tuple[float, ...] = ()
    """The upper ends of a histogram's buckets, but for the last, which has none."""

    @property
    def suffix(self) -> str:
        """Its unit as Prometheus has it; empty: none."""
        return _SUFFIXES.get(self.unit, "")

    @property
    def family(self) -> str:
        """Its name for Prometheus, without the `_total` that a counter's samples get."""
        name = self.name.replace(".", "_")
        return f"{name}_{self.suffix}" if self.suffix else name

    @property
    def labels(self) -> tuple[str, ...]:
        """Its attributes as Prometheus names them."""
        return tuple(each.replace(".", "_") for each in self.attributes)


CALL_DURATION: Final = Metric(
    "rpc.server.call.duration",
    Kind.HISTOGRAM,
    "s",
    "How long calls took.",
    (semconv.RPC_SYSTEM, semconv.RPC_METHOD, semconv.RPC_STATUS, semconv.ERROR_TYPE),
    _SECONDS,
)
REQUEST_DURATION: Final = Metric(
    "rerank_gateway.request.duration",
    Kind.HISTOGRAM,
    "s",
    "How long calls took that were answered with results.",
    (semconv.SEARCH_METHOD, semconv.CACHE_RESULT),
    _SECONDS,
)
STAGE_DURATION: Final = Metric(
    "rerank_gateway.stage.duration",
    Kind.HISTOGRAM,
    "s",
    "How long one stage of a search took.",
    (semconv.STAGE,),
    _SECONDS_FINE,
)
ATTEMPT_DURATION: Final = Metric(
    "rerank_gateway.backend.attempt.duration",
    Kind.HISTOGRAM,
    "s",
    "How long one call to a backend took.",
    (semconv.BACKEND, semconv.ERROR_TYPE),
    _SECONDS_FINE,
)
FALLBACKS: Final = Metric(
    "rerank_gateway.fallbacks",
    Kind.COUNTER,
    "{request}",
    "Answers that another way had to give, by why and by the backend that failed.",
    (semconv.FALLBACK_REASON, semconv.BACKEND),
)
CACHE_LOOKUPS: Final = Metric(
    "rerank_gateway.cache.lookups",
    Kind.COUNTER,
    "{request}",
    "Rerankings, by how much of them was remembered.",
    (semconv.CACHE_RESULT,),
)
CACHE_PAIRS: Final = Metric(
    "rerank_gateway.cache.pairs",
    Kind.COUNTER,
    "{pair}",
    "Pairs of query and document that a memory was asked for.",
    (semconv.CACHE_TIER, semconv.CACHE_RESULT),
)
CACHE_EVICTIONS: Final = Metric(
    "rerank_gateway.cache.evictions",
    Kind.COUNTER,
    "{entry}",
    "Scores that this process forgot: past their time, or for want of room.",
    (semconv.EVICTION_REASON,),
)
CACHE_ENTRIES: Final = Metric(
    "rerank_gateway.cache.entries",
    Kind.GAUGE,
    "{entry}",
    "Scores that this process remembers.",
)
CACHE_SIZE: Final = Metric(
    "rerank_gateway.cache.size",
    Kind.GAUGE,
    "By",
    "How much of the bound for remembered scores is used.",
)
CACHE_FAILURES: Final = Metric(
    "rerank_gateway.cache.failures",
    Kind.COUNTER,
    "{failure}",
    "Times that the shared memory of scores did not answer.",
)
CIRCUIT_STATE: Final = Metric(
    "rerank_gateway.backend.circuit.state",
    Kind.GAUGE,
    "{state}",
    "1 for the state that a backend's circuit is in, 0 for the others.",
    (semconv.BACKEND, STATE),
)
IN_FLIGHT: Final = Metric(
    "rerank_gateway.backend.inflight",
    Kind.GAUGE,
    "{request}",
    "Calls that a backend has not answered yet.",
    (semconv.BACKEND,),
)
EXTRA_CALLS: Final = Metric(
    "rerank_gateway.backend.extra_calls",
    Kind.COUNTER,
    "{request}",
    "Calls beyond the first one: again after a failure, or beside a slow one.",
    (semconv.BACKEND, semconv.EXTRA_CALL),
)
SCORE: Final = Metric(
    "rerank_gateway.result.score",
    Kind.HISTOGRAM,
    "1",
    "The score of the best result, where scores are probabilities.",
    (semconv.BACKEND, semconv.MODEL),
    _TENTHS,
)
DISPLACEMENT: Final = Metric(
    semconv.DISPLACEMENT,
    Kind.HISTOGRAM,
    "1",
    "How far reranking moved results: 0 is the order received, 1 its reverse.",
    (semconv.BACKEND, semconv.MODEL),
    _DISTANCE,
)
TOP1: Final = Metric(
    "rerank_gateway.rank.top1",
    Kind.COUNTER,
    "{request}",
    "Rerankings, by whether another result came first.",
    (semconv.TOP1_CHANGED, semconv.BACKEND),
)
CANDIDATES: Final = Metric(
    "rerank_gateway.candidates",
    Kind.HISTOGRAM,
    "{document}",
    "Documents in one reranking.",
    bounds=_DOCUMENTS,
)
BILLED_UNITS: Final = Metric(
    "rerank_gateway.backend.billed_units",
    Kind.COUNTER,
    "{unit}",
    "What backends say that answers cost.",
    (semconv.BACKEND, semconv.BILLED_UNIT),
)
TENANT_UNITS: Final = Metric(
    "rerank_gateway.tenant.units",
    Kind.COUNTER,
    "{unit}",
    "What the ledger says that a tenant's calls to backends used.",
    (semconv.TENANT, semconv.BACKEND, semconv.BILLED_UNIT),
)
TENANT_COST: Final = Metric(
    "rerank_gateway.tenant.cost",
    Kind.COUNTER,
    "{currency}",
    "The same in money; the ledger itself is exact.",
    (semconv.TENANT, semconv.BACKEND),
)
TENANT_REFUSED: Final = Metric(
    "rerank_gateway.tenant.refused",
    Kind.COUNTER,
    "{request}",
    "Rerankings and calls to backends that a tenant's limits forbade.",
    (semconv.TENANT, semconv.QUOTA),
)
BUDGET: Final = Metric(
    semconv.BUDGET,
    Kind.HISTOGRAM,
    "s",
    "The time that one reranking had.",
    bounds=_SECONDS,
)
LOOP_LAG: Final = Metric(
    "rerank_gateway.event_loop.lag",
    Kind.GAUGE,
    "s",
    "How late this process comes to what is due.",
)
SERVER_IN_FLIGHT: Final = Metric(
    "rerank_gateway.server.inflight",
    Kind.GAUGE,
    "{request}",
    "Calls that are being served.",
)
CONFIG_RELOADS: Final = Metric(
    "rerank_gateway.config.reloads",
    Kind.COUNTER,
    "{reload}",
    "Times that the configuration was read again, by what became of it.",
    (semconv.CONFIG_OUTCOME,),
)
CONFIG_SUCCESS: Final = Metric(
    "rerank_gateway.config.reload.success",
    Kind.GAUGE,
    "1",
    "0 while what serves is not what was read last, since that has a problem; else 1.",
)
CONFIG_TIME: Final = Metric(
    "rerank_gateway.config.reload.time",
    Kind.GAUGE,
    "s",
    "When what serves was read, in seconds since 1970.",
)
DROPPED: Final = Metric(
    "rerank_gateway.telemetry.dropped",
    Kind.COUNTER,
    "{item}",
    "Spans and the like that were not sent.",
    (semconv.SIGNAL,),
)

METRICS: Final = (
    *(CALL_DURATION, REQUEST_DURATION, STAGE_DURATION, ATTEMPT_DURATION),
    *(FALLBACKS, CANDIDATES, BUDGET),
    *(CACHE_LOOKUPS, CACHE_PAIRS, CACHE_EVICTIONS, CACHE_ENTRIES, CACHE_SIZE),
    *(CACHE_FAILURES, CIRCUIT_STATE, IN_FLIGHT, EXTRA_CALLS, BILLED_UNITS),
    *(TENANT_UNITS, TENANT_COST, TENANT_REFUSED),
    *(SCORE, DISPLACEMENT, TOP1),
    *(LOOP_LAG, SERVER_IN_FLIGHT, DROPPED),
    *(CONFIG_RELOADS, CONFIG_SUCCESS, CONFIG_TIME),
)
"""All of them, in the order in which they are shown."""

OPEN: Final = frozenset(
    {semconv.RPC_METHOD, semconv.BACKEND, semconv.MODEL, semconv.TENANT}
)
"""Attributes whose values come from elsewhere: configurations, callers, backends."""

MOST_SERIES: Final = 200
"""Series of one metric; beyond, what comes from elsewhere is `_OTHER`."""
