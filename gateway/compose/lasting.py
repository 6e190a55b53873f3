"""What every configuration of one process has in common: it is opened once."""

from dataclasses import dataclass, field, replace
from random import Random

from gateway.compose.built import Built
from gateway.compose.memories import Memories
from gateway.compose.stack import Surroundings
from gateway.departures import Departures
from gateway.events import CircuitChanged, CircuitState, Emit, Event
from gateway.identity.entrance import Entrance
from gateway.inspecting import Watch
from gateway.reloading.shelf import Shelf
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.retriever import Retriever
from gateway.siblings import Siblings
from gateway.telemetry.running import Running
from gateway.tenants.metering import Metering


class Voice:
    """Tells what a backend's layers tell, but of how it is only while it serves.

    Calls that began before a reload may fail, or open the circuit, of a backend that is
    another one by now, under the same name. Where it serves again, it tells how its circuits
    are.

    Args:
        tell: Told all but that.
        watch: Notes how backends are.

    """

    def __init__(self, tell: Emit, watch: Emit) -> None:
        self._tell = tell
        self._watch = watch
        self._serves = True
        self._circuits: dict[str, CircuitChanged] = {}
        """By server: what was to be told last."""

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if isinstance(event, CircuitChanged):
            self._circuits[event.backend] = event
            if not self._serves:
                return
        if self._serves:
            self._watch(event)
        self._tell(event)

    def fall_silent(self) -> None:
        """Tell of no circuit any more."""
        self._serves = False

    def speak_again(self) -> None:
        """Tell of circuits, and first of those that are not closed; nothing if it does."""
        if self._serves:
            return
        self._serves = True
        for each in self._circuits.values():
            if each.state is not CircuitState.CLOSED:
                self._watch(each)
                self._tell(each)


@dataclass(frozen=True, slots=True)
class Part:
    """One backend that runs, in one or more configurations."""

    built: Built
    voice: Voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Lasting:
    """Opened at the start, and closed at the end."""

    told: Running
    tell: Emit
    watch: Watch
    """How backends are, as their own voices tell."""
    entrance: Entrance
    retriever: Retriever
    metering: Metering | None
    """The tenants' ledger, and what each has under way; None: there are none."""
    siblings: Siblings
    chance: Random
    """For pauses and draws, no secrets."""
    departures: Departures = field(default_factory=Departures)
    memories: Shelf[Memories] = field(default_factory=Shelf)
    backends: Shelf[Part] = field(default_factory=Shelf)
    embedders: Shelf[Embedder | None] = field(default_factory=Shelf)

    def around(self, memories: Memories) -> Surroundings:
        """Say what all backends of one configuration have in common."""
        return Surroundings(
            memories=memories,
            chance=self.chance,
            emit=self.tell,
            observer=self.told.observer,
            wire=self.told.wire,
            siblings=self.siblings,
            metering=self.metering,
        )

    def speaking(self, around: Surroundings) -> tuple[Voice, Surroundings]:
        """Give one backend a voice of its own."""
        voice = Voice(self.tell, self.watch)
        return voice, replace(around, emit=voice)
