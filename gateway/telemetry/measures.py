"""Counts events: what happens in a moment, and takes no time."""

from gateway.events import (
    CacheRead,
    CallMetered,
    CircuitChanged,
    Event,
    Hedged,
    Reloaded,
    Retried,
    SharedCacheFailed,
    TenantRefused,
)
from gateway.telemetry.instruments import Instruments


class Measures:
    """Counts what the layers tell; an `Emit` of theirs.

    How attempts end is not counted here: whoever watches them knows it too, and also of
    those that a caller gave up.

    Args:
        instruments: What counts.

    """

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments

    def __call__(self, event: Event) -> None:
        """Count one event."""
        match event:
            case CacheRead(_, tier, hits, misses):
                self._instruments.cache_read(tier, hits=hits, misses=misses)
            case SharedCacheFailed():
                self._instruments.cache_failed()
            case Retried(backend, _):
                self._instruments.called_again(backend, "retry")
            case Hedged(backend, _):
                self._instruments.called_again(backend, "hedge")
            case CircuitChanged(backend, state):
                self._instruments.circuit_changed(backend, state)
            case CallMetered():
                self._instruments.tenants.metered(event)
            case TenantRefused():
                self._instruments.tenants.refused(event)
            case Reloaded(_, outcome):
                self._instruments.configurations.reloaded(outcome)
            case _:
                pass
