"""The use case behind BackendService: what is configured, and does it work?"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from gateway.backends.errors import BackendError, BackendState, FailureReason
from gateway.backends.facts import Facts
from gateway.backends.scorer import Candidate, Scorer, ScoreRequest, Scores
from gateway.errors import UnknownBackend
from gateway.events import AttemptEnded, CircuitChanged, CircuitState, Event
from gateway.ranking.normalize import Scale

# Any reranker tells these two apart; published answers for it are everywhere.
_QUERY = "what is panda?"
_IRRELEVANT = "hi"
_RELEVANT = (
    "The giant panda (Ailuropoda melanoleuca), sometimes called a panda bear or simply"
    " panda, is a bear species endemic to China."
)

_FAVOURABLE = (CircuitState.CLOSED, CircuitState.HALF_OPEN, CircuitState.OPEN)

# Models converted without their head give the same 1e-20 or so for everything.
_SAME = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Configured:
    """One backend as it is configured."""

    name: str
    dialect: str
    scale: Scale | None
    """None: it cannot be asked."""
    facts: Facts
    probe: Scorer
    """The backend under its own time limit, without queue, circuit or memory."""
    listwise: bool
    default_top_k: int
    min_score: float | None
    max_tokens: int
    """0: unknown, or the backend cuts by itself."""
    max_in_flight: int
    max_queued: int
    timeout_s: float
    replicas: tuple[str, ...]
    """The names of its servers; that of the backend alone if there is one."""
    problem: str = ""
    """Why it cannot be asked; empty where it can."""


class ServiceKind(StrEnum):
    """What stage 1 uses a service for."""

    RETRIEVER = "RETRIEVER"
    EMBEDDER = "EMBEDDER"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What stage 1 of a search uses: the engine, or the embedder."""

    name: str
    kind: ServiceKind
    dialect: str
    model: str
    timeout_s: float
    probe: Callable[[float], Awaitable[str]]
    """Given a deadline, gives the model that it reports. Raises `BackendError`."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the calls and probes so far showed of a backend."""

    state: BackendState | None = None
    """None: it was neither asked nor probed."""
    last_failure: FailureReason | None = None
    last_failure_at: float | None = None
    """Unix time, for people to read."""
    circuit: CircuitState = CircuitState.CLOSED
    """Whether calls are let through."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """One backend, as it is configured and as it was seen."""

    configured: Configured | Service
    seen: Seen
    circuits: Mapping[str, CircuitState] = field(default_factory=dict)
    """Of each of its servers, by name."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a live probe found."""

    state: BackendState
    message: str
    """In our own words."""
    failure: FailureReason | None = None
    round_trip_s: float = 0.0
    model: str = ""


class Watch:
    """Remembers the last state of every backend; an `Emit` of the layers."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def __call__(self, event: Event) -> None:
        """Note what a call showed."""
        if isinstance(event, AttemptEnded):
            self.note(event.attempt.backend, event.state, event.attempt.failure)
        elif isinstance(event, CircuitChanged):
            seen = self.seen(event.backend)
            self._seen[event.backend] = replace(seen, circuit=event.state)

    def note(
        self, backend: str, state: BackendState, failure: FailureReason | None
    ) -> None:
        """Note a state, and what failed if anything did."""
        seen = replace(self.seen(backend), state=state)
        if failure:
            seen = replace(seen, last_failure=failure, last_failure_at=time.time())
        self._seen[backend] = seen

    def forget(self, backend: str) -> None:
        """Know nothing of a backend, which is another one now, or none."""
        self._seen.pop(backend, None)

    def seen(self, backend: str) -> Seen:
        """Give what is known of a backend."""
        return self._seen.get(backend, Seen())


class Inspecting:
    """Lists and checks the configured backends.

    Args:
        backends: By name.
        services: What stage 1 uses, by names that no backend has.
        watch: What the calls showed.

    """

    def __init__(
        self,
        *,
        backends: Mapping[str, Configured],
        services: Mapping[str, Service],
        watch: Watch,
    ) -> None:
        self._backends = backends
        self._services = services
        self._watch = watch

    def inspections(self) -> list[Inspection]:
        """Give every backend by name, asking none of them."""
        every: dict[str, Configured | Service] = {**self._backends, **self._services}
        return [self._inspection(every[name]) for name in sorted(every)]

    def _inspection(self, configured: Configured | Service) -> Inspection:
        seen = self._watch.seen(configured.name)
        if isinstance(configured, Service):
            return Inspection(configured, seen)
        circuits = {
            name: self._watch.seen(name).circuit for name in configured.replicas
        }
        # As good as the best of its servers.
        best = min(circuits.values(), key=_FAVOURABLE.index, default=seen.circuit)
        return Inspection(configured, replace(seen, circuit=best), circuits)

    async def check(self, name: str, *, deadline: float | None) -> Checked:
        """Ask a backend for the scores of two documents, of which one is relevant.

        The embedder is asked for a vector, and the engine for its collections.

        Args:
            name: Its configured name.
            deadline: When the answer must be there, in event-loop seconds; None: within
                the backend's own limit.

        Raises:
            UnknownBackend: None has that name.

        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        until = math.inf if deadline is None else deadline
        if name in self._services:
            found = await _served(self._services[name], until)
        elif name in self._backends:
            found = await _scored(self._backends[name], until)
        else:
            raise UnknownBackend(name)
        self._watch.note(name, found.state, found.failure)
        return replace(found, round_trip_s=loop.time() - began)


async def _served(service: Service, deadline: float) -> Checked:
    try:
        model = await service.probe(deadline)
    except BackendError as error:
        return Checked(error.state, str(error), failure=error.reason)
    return Checked(BackendState.READY, f"{service.name}: it answers", model=model)


async def _scored(configured: Configured, deadline: float) -> Checked:
    request = ScoreRequest(
        query=_QUERY,
        documents=(
            Candidate(text=_IRRELEVANT, rank=1),
            Candidate(text=_RELEVANT, rank=2),
        ),
        # The probe has its own limit: one of ours beside it would be blamed on the
        # caller.
        deadline=deadline,
    )
    try:
        scores = await configured.probe.score(request)
    except BackendError as error:
        return Checked(error.state, str(error), failure=error.reason)
    return _judged(configured.name, scores)


def _judged(name: str, scores: Scores) -> Checked:
    irrelevant, relevant = scores.raw
    if irrelevant is None or relevant is None:
        return Checked(
            BackendState.DEGRADED,
            f"{name}: it did not score every document",
            failure=FailureReason.MALFORMED,
            model=scores.model,
        )
    state, message = BackendState.READY, f"{name}: it tells a panda from a greeting"
    if abs(relevant - irrelevant) < _SAME:
        state = BackendState.MISCONFIGURED
        message = f"{name}: it scores everything alike: does its model have a head?"
    elif scores.scale is Scale.LOGIT and 0 <= irrelevant <= 1 and 0 <= relevant <= 1:
        # A greeting is no answer: its log-odds are below 0.
        state = BackendState.MISCONFIGURED
        message = f"{name}: its numbers look like probabilities, its scale is logit"
    elif relevant < irrelevant:
        state = BackendState.DEGRADED
        message = f"{name}: it prefers a greeting to the description of a panda"
    failure = None if state is BackendState.READY else FailureReason.MISCONFIGURED
    return Checked(state, message, failure=failure, model=scores.model)
