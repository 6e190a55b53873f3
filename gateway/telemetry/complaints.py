"""What exporters complain about, as a line now and then.

A collector that is down fails every export, of every signal, and the gateway is none the
worse for it.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)

_EXPORTERS = "opentelemetry.exporter"
_AGAIN_AFTER_S = 300.0


class _NowAndThen(logging.Handler):
    """Passes the first complaint on, and is silent for a while.

    One for all signals: they go to the same place, as a rule, and fail together.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._silent_until = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        """Pass it on, or not; exporters complain in threads of their own."""
        now = time.monotonic()
        if now >= self._silent_until:
            self._silent_until = now + _AGAIN_AFTER_S
            _log.warning("telemetry is not sent: %s", record.getMessage())


@contextmanager
def said_now_and_then() -> Iterator[None]:
    """Let exporters complain less while the block runs."""
    exporters = logging.getLogger(_EXPORTERS)
    handler, propagate = _NowAndThen(), exporters.propagate
    exporters.addHandler(handler)
    exporters.propagate = False
    try:
        yield
    finally:
        exporters.propagate = propagate
        exporters.removeHandler(handler)
