"""What operators read: start, stop, and what goes wrong with backends.

Nothing a caller sent and nothing a backend answered is ever part of a line.
"""

import asyncio
import logging

from gateway.events import (
    AttemptEnded,
    BackendSilent,
    CacheRead,
    CircuitChanged,
    Event,
    FactsLearned,
    FlightJoined,
    Hedged,
    Retried,
    SharedCacheFailed,
)

_log = logging.getLogger("gateway")

# A backend that is down fails every call; one line in so long is enough to know.
_AGAIN_AFTER_S = 10.0


def log_to_stderr() -> None:
    """Send the gateway's lines to standard error."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


class EventLog:
    """Writes events as lines, and repeats a failure only now and then."""

    def __init__(self) -> None:
        self._silent_until: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, event: Event) -> None:
        """Write one event down."""
        match event:
            case AttemptEnded(attempt, detail, _) if attempt.failure:
                self._failure(attempt.backend, attempt.failure, detail)
            case AttemptEnded():
                pass
            case FactsLearned(backend, model, max_documents):
                served = f"serves {model}, " if model else ""
                _log.info(
                    "backend %s %stakes %d documents in one call",
                    backend,
                    served,
                    max_documents,
                )
            case CircuitChanged(backend, state):
                _log.warning("backend %s: its circuit is %s", backend, state)
            case SharedCacheFailed(detail):
                self._failure("cache.shared", "UNAVAILABLE", detail)
            case CacheRead() | Retried() | Hedged() | FlightJoined():
                pass
            case BackendSilent(backend, detail):
                _log.warning(
                    "backend %s does not tell about itself: %s", backend, detail
                )

    def _failure(self, backend: str, reason: str, detail: str) -> None:
        key = (backend, reason)
        now = asyncio.get_running_loop().time()
        if now < self._silent_until.get(key, now):
            self._unsaid[key] = self._unsaid.get(key, 0) + 1
            return
        self._silent_until[key] = now + _AGAIN_AFTER_S
        more = self._unsaid.pop(key, 0)
        suffix = f" ({more} more since the last such line)" if more else ""
        _log.warning("%s [%s]%s", detail, reason, suffix)
