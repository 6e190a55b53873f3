"""What happened, as facts: layers report these, and never know who listens.

Attributes are few-valued and never a text of a caller.
"""

from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum

from gateway.backends.errors import Attempt, BackendState, FailureReason


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A backend was asked and answered, failed, or was given up."""

    attempt: Attempt
    detail: str
    """Why it failed, in our own words; empty where it did not."""
    state: BackendState
    """What this shows about the backend."""


@dataclass(frozen=True, slots=True)
class FactsLearned:
    """A backend told about itself for the first time, or something new."""

    backend: str
    model: str
    max_documents: int


@dataclass(frozen=True, slots=True)
class BackendSilent:
    """A backend did not tell about itself when asked."""

    backend: str
    detail: str


class CircuitState(StrEnum):
    """Whether calls to a backend are let through (`rerank.v1.CircuitState`)."""

    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


@dataclass(frozen=True, slots=True)
class CircuitChanged:
    """A circuit opened, closed, or lets one call through to see."""

    backend: str
    state: CircuitState


@dataclass(frozen=True, slots=True)
class CacheRead:
    """A memory was asked for the scores of a call."""

    backend: str
    tier: str
    """`process` or `shared`."""
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class SharedCacheFailed:
    """The memory that processes share did not answer; the scores count as unknown."""

    detail: str


@dataclass(frozen=True, slots=True)
class Retried:
    """A call was made again after a transient failure."""

    backend: str
    after: FailureReason


@dataclass(frozen=True, slots=True)
class Hedged:
    """A second call was made, since the first one was slow."""

    backend: str
    won: bool
    """The second one answered first."""


@dataclass(frozen=True, slots=True)
class FlightJoined:
    """A call waits for the answer to another one that asked the same before."""

    backend: str
    flight: Context
    """Of the call that began it."""


class ReloadOutcome(StrEnum):
    """What became of a configuration that was read again."""

    APPLIED = "APPLIED"
    UNCHANGED = "UNCHANGED"
    """It says what serves already."""
    REFUSED = "REFUSED"
    """It has a problem, and what served before serves on."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The configuration was read again."""

    by: str
    """What asked for it."""
    outcome: ReloadOutcome
    duration_s: float
    problems: tuple[str, ...] = ()
    """Why it was refused, each with its path."""
    waiting: tuple[str, ...] = ()
    """Settings that differ, and wait for the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Administered:
    """A call is over that changes something for all, or asks a vendor on purpose."""

    action: str
    """`package.Service/Method`."""
    on: str
    """The name of a collection or a backend; empty where none was told."""
    count: int
    """Of documents; 0: it is not about any."""
    outcome: str
    """The name of the status that the caller got, such as `OK`."""
    duration_s: float
    tenant: str
    """Whose call it was, if that is proven."""
    key: str
    """The public name of the key that was shown, if any was."""
    peer: str
    """Where it came from, as gRPC writes it: `ipv4:127.0.0.1:4711`."""


@dataclass(frozen=True, slots=True)
class CallMetered:
    """What a call to a backend cost is written in the ledger."""

    tenant: str
    """As the configuration calls it: few."""
    backend: str
    calls: int
    search_units: float
    tokens: int
    cost: float
    """In the ledger's currency: to draw, since the ledger itself is exact."""


@dataclass(frozen=True, slots=True)
class TenantRefused:
    """A tenant used up what it may use: no backend was asked."""

    tenant: str
    """As the configuration calls it: few."""
    quota: str
    """Likewise, such as `requests_per_s`."""


@dataclass(frozen=True, slots=True)
class LedgerSilent:
    """The ledger cannot be written, or written to no more."""

    detail: str


@dataclass(frozen=True, slots=True)
class CallEnded:
    """An RPC is over; what was answered, if anything was.

    All but the first five is of answers with an `Execution`, and empty for others.
    """

    method: str
    """`package.Service/Method`."""
    status: str
    """The name of the status that the caller got, such as `OK`."""
    duration_s: float
    face: str = ""
    """Whose API the caller speaks, such as `tei`; empty: gRPC."""
    tenant: str = ""
    """Who called, as its credentials prove; empty: none were asked for, or shown."""
    outcome: str = ""
    search_method: str = ""
    fallback: bool = False
    """Some stage did less than was asked of it."""
    fallback_reason: str = ""
    route: str = ""
    backend: str = ""
    model: str = ""
    candidates: int = 0
    scored: int = 0
    cached: int = 0
    """Of the scored ones, those whose scores came from memory."""
    returned: int = 0
    attempts: int = 0
    stages: tuple[tuple[str, float], ...] = ()
    """Each with its seconds, in the order in which they are applied."""
    requests: int = 0
    """That were answered, of a call that brings many; all but `fallback` is empty then."""
    refused: int = 0
    """Of these, those that were answered by an error."""
    fell_back: int = 0
    """Of these, those of which some stage did less than was asked."""


Event = (
    AttemptEnded
    | FactsLearned
    | BackendSilent
    | CircuitChanged
    | CacheRead
    | SharedCacheFailed
    | Retried
    | Hedged
    | FlightJoined
    | CallMetered
    | TenantRefused
    | LedgerSilent
    | Reloaded
    | Administered
    | CallEnded
)
Emit = Callable[[Event], None]


def each_of(*listeners: Emit) -> Emit:
    """Give what tells all of these, in this order."""

    def tell(event: Event) -> None:
        for listen in listeners:
            listen(event)

    return tell
