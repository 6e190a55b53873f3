"""Which events become lines, and in which words."""

import asyncio
import logging

from gateway.events import (
    AttemptEnded,
    BackendSilent,
    CallEnded,
    CircuitChanged,
    Event,
    FactsLearned,
    LedgerSilent,
    Reloaded,
    ReloadOutcome,
    SharedCacheFailed,
    TenantRefused,
)
from gateway.logs.lines import CallLine, Line
from gateway.settings import LogSettings

_log = logging.getLogger("gateway")

# A backend that is down fails every call; one line in so long is enough to know.
_AGAIN_AFTER_S = 10.0

# The statuses that are errors of a server; all others are a caller's affair.
_SERVER_ERRORS = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)

# Machines call these every few seconds.
_NEVER_TOLD = ("grpc.health.", "grpc.reflection.")


class EventLog:
    """Writes events as lines, and repeats a failure only now and then.

    Args:
        settings: Which calls get their line; None: none does.

    """

    def __init__(self, settings: LogSettings | None = None) -> None:
        self._calls = settings.calls if settings else "none"
        self._silent_until: dict[tuple[str, str], float] = {}
        self._unsaid: dict[tuple[str, str], int] = {}

    def __call__(self, event: Event) -> None:
        """Write one event down."""
        match event:
            case CallEnded():
                self._call(event)
            case AttemptEnded(attempt, detail, state) if attempt.failure:
                self._failure(
                    attempt.backend,
                    attempt.failure,
                    detail,
                    event="attempt_failed",
                    backend=attempt.backend,
                    state=state,
                    duration_s=round(attempt.duration_s, 6),
                    documents=attempt.document_count,
                )
            case SharedCacheFailed(detail):
                self._failure(
                    "cache.shared", "UNAVAILABLE", detail, event="shared_cache_failed"
                )
            case TenantRefused(tenant, quota):
                self._failure(
                    f"tenant.{tenant}",
                    quota,
                    f"tenant {tenant} has used up what it may use",
                    event="tenant_refused",
                    tenant=tenant,
                )
            case LedgerSilent(detail):
                self._failure(
                    "ledger",
                    "UNAVAILABLE",
                    f"the ledger cannot be written: {detail}",
                    event="ledger_silent",
                )
            case FactsLearned(backend, model, max_documents):
                served = f"serves {model}, " if model else ""
                words = (
                    f"backend {backend} {served}takes {max_documents} documents in "
                    "one call"
                )
                fields = {
                    "backend": backend,
                    "model": model,
                    "max_documents": max_documents,
                }
                _log.info(Line(words, {"event": "facts_learned", **fields}))
            case CircuitChanged(backend, state):
                words = f"backend {backend}: its circuit is {state}"
                fields = {"backend": backend, "state": state}
                _log.warning(Line(words, {"event": "circuit_changed", **fields}))
            case BackendSilent(backend, detail):
                words = f"backend {backend} does not tell about itself: {detail}"
                fields = {"backend": backend}
                _log.warning(Line(words, {"event": "backend_silent", **fields}))
            case Reloaded():
                _reloaded(event)
            case _:  # of the others there are too many, and metrics count them
                pass

    def _call(self, call: CallEnded) -> None:
        if self._calls == "none" or call.method.startswith(_NEVER_TOLD):
            return
        went_well = call.status == "OK" and not call.fallback and not call.refused
        if self._calls == "failed" and went_well:
            return
        level = logging.WARNING if call.status in _SERVER_ERRORS else logging.INFO
        if _log.isEnabledFor(level):
            # As `_log.log` does it, but for looking up who calls, which takes as long as
            # all the rest.
            line = CallLine(call)
            _log.handle(_log.makeRecord(_log.name, level, __file__, 0, line, (), None))

    def _failure(self, who: str, reason: str, detail: str, **fields: object) -> None:
        key = (who, reason)
        now = asyncio.get_running_loop().time()
        if now < self._silent_until.get(key, now):
            self._unsaid[key] = self._unsaid.get(key, 0) + 1
            return
        self._silent_until[key] = now + _AGAIN_AFTER_S
        more = self._unsaid.pop(key, 0)
        suffix = f" ({more} more since the last such line)" if more else ""
        _log.warning(
            Line(
                f"{detail} [{reason}]{suffix}",
                {**fields, "reason": reason, "more": more},
            )
        )


def _reloaded(event: Reloaded) -> None:
    fields: dict[str, object] = {
        "event": "reloaded",
        "by": event.by,
        "outcome": event.outcome,
        "duration_s": round(event.duration_s, 6),
    }
    if event.waiting:
        names = ", ".join(event.waiting)
        words = f"these settings differ, and wait for the next start: {names}"
        waiting = {"event": "settings_wait", "settings": [*event.waiting]}
        _log.warning(Line(words, waiting))
    if event.outcome is ReloadOutcome.REFUSED:
        words = (
            f"the configuration was not reloaded ({event.by}), what served before "
            f"serves on: {'; '.join(event.problems)}"
        )
        _log.error(Line(words, {**fields, "problems": [*event.problems]}))
        return
    words = f"the configuration was reloaded ({event.by}) in {event.duration_s:.2f} s"
    if event.outcome is ReloadOutcome.UNCHANGED:
        words = f"the configuration says what serves already ({event.by})"
    _log.info(Line(words, fields))
