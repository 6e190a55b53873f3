"""Who administered the gateway, how, and with what outcome: one line of JSON each, no texts."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Final

from gateway.events import Administered, Emit, Event, Reloaded
from gateway.logs.lines import Line
from gateway.logs.writing import lines_apart
from gateway.settings import LogSettings

STDERR: Final = "stderr"
"""Instead of a file."""

_ONLY_OURS: Final = 0o600


class CannotWrite(Exception):
    """The file cannot be written; says why."""


@contextmanager
def audit(settings: LogSettings, *, worker: int | None = None) -> Iterator[Emit]:
    """Write down what is told while the block runs; gives who is told.

    Args:
        settings: Where it is written.
        worker: Which of several processes this is; each line says so.

    Raises:
        CannotWrite: Nothing could be written there.

    """
    if not settings.audit:
        yield _nobody
    elif settings.audit == STDERR:
        with _told(sys.stderr.fileno, worker) as tell:
            yield tell
    else:
        file = _File(settings.audit)
        with file.opened(), _told(file.descriptor, worker) as tell:
            yield tell


def _nobody(_: Event) -> None:
    pass


@contextmanager
def _told(where: Callable[[], int], worker: int | None) -> Iterator[Emit]:
    with lines_apart("audit", where, worker=worker) as apart:

        def tell(event: Event) -> None:
            match event:
                case Administered():
                    apart.info(_of_call(event))
                case Reloaded():
                    apart.info(_of_reload(event))

        yield tell


def _of_call(event: Administered) -> Line:
    fields = {name: value for name, value in asdict(event).items() if value}
    fields["duration_s"] = round(event.duration_s, 6)
    return Line(f"{event.action} {event.outcome}", {"event": "audit", **fields})


def _of_reload(event: Reloaded) -> Line:
    fields = {
        "event": "audit",
        "action": "reload",
        "by": event.by,
        "outcome": event.outcome.value,
        "duration_s": round(event.duration_s, 6),
    }
    return Line(f"reload {event.outcome}", fields)


class _File:
    """A file that is added to; one that was renamed or removed is begun anew.

    Args:
        path: Where it is.

    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Keep it open while the block runs."""
        try:
            self._descriptor = self._open()
        except OSError as error:
            message = f"logs.audit: {self._path}: {os.strerror(error.errno or 0)}"
            raise CannotWrite(message) from error
        try:
            yield
        finally:
            os.close(self._descriptor)

    def descriptor(self) -> int:
        """Give what is written to now."""
        try:
            there = os.stat(self._path)  # noqa: PTH116 - compared with what is open
            if not os.path.samestat(there, os.fstat(self._descriptor)):
                self._begin_anew()
        except FileNotFoundError:
            self._begin_anew()
        except OSError:  # what is open can still be written to
            pass
        return self._descriptor

    def _begin_anew(self) -> None:
        try:
            following = self._open()
        except OSError:  # likewise
            return
        before, self._descriptor = self._descriptor, following
        os.close(before)

    def _open(self) -> int:
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        return os.open(self._path, how, _ONLY_OURS)
