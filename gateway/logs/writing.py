"""Write lines beside the event loop, and never wait for whoever reads them.

A pipe that nobody reads blocks whoever writes to it: that is a thread of its own here. Lines
that it cannot write wait, a bounded number of them; those beyond are dropped and counted.
"""

import logging
import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from logging.handlers import QueueHandler
from queue import SimpleQueue
from typing import Any

from gateway.logs.exceptions import in_words
from gateway.logs.lines import Entry, Line, Told, for_machines, for_people
from gateway.observing import trace_id
from gateway.settings import LogSettings

_OURS = "gateway"
_STDERR = 2

_MOST_WAITING = 10_000
_LONGEST = 2000
"""Characters of a message that is not ours."""

# Waking the thread takes as long as tens of lines, so those of so many seconds go together:
# short for whoever reads along. With a fifth of it, a miss took 5 % more CPU.
_TOGETHER_S = 0.1
_LINES_TOGETHER = 500
# A pipe takes so much at once, so that lines of several processes stay whole.
_BYTES_TOGETHER = 4096
_STOP_WITHIN_S = 1.0

_python = logging.getLogger("python")


@contextmanager
def lines_to_stderr(
    settings: LogSettings, *, fd: int = _STDERR, worker: int | None = None
) -> Iterator[None]:
    """Send all lines of this process to standard error, until the block ends.

    Libraries speak from WARNING on; that goes for what they tell by `logging`, by warnings,
    and by exceptions that nobody caught.

    Args:
        settings: In which form.
        fd: Where they go instead.
        worker: Which of several processes this is; each line says so.

    """
    root, ours = logging.getLogger(), logging.getLogger(_OURS)
    levels = root.level, ours.level
    hooks = threading.excepthook, sys.unraisablehook
    waiting = _Waiting(worker)
    writer = _Writer(waiting, for_machines if settings.format == "json" else for_people)
    writer.begin(lambda: fd)
    root.addHandler(waiting)
    root.setLevel(logging.WARNING)
    ours.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    threading.excepthook, sys.unraisablehook = _uncaught, _uncaught
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = hooks
        logging.captureWarnings(capture=False)
        root.removeHandler(waiting)
        root.setLevel(levels[0])
        ours.setLevel(levels[1])
        writer.end()


@contextmanager
def lines_apart(
    name: str, where: Callable[[], int], *, worker: int | None = None
) -> Iterator[logging.Logger]:
    """Give a logger whose lines, as JSON, go somewhere of their own until the block ends.

    Args:
        name: Of the logger.
        where: Gives what is written to, each time; asked on the thread that writes.
        worker: Which of several processes this is.

    """
    apart = logging.getLogger(name)
    waiting = _Waiting(worker)
    writer = _Writer(waiting, for_machines)
    writer.begin(where)
    apart.addHandler(waiting)
    apart.setLevel(logging.INFO)
    apart.propagate = False
    try:
        yield apart
    finally:
        apart.removeHandler(waiting)
        writer.end()


class _Waiting(QueueHandler):
    """Takes lines at once, as long as not too many wait."""

    queue: "SimpleQueue[Any]"
    """Of entries; None ends it."""

    def __init__(self, worker: int | None) -> None:
        super().__init__(SimpleQueue())
        self.worker = worker
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> Entry:
        """Keep of a record what is written."""
        return Entry(
            record.created,
            record.levelname,
            record.name,
            # The words of our own lines are made where they are written.
            record.msg if isinstance(record.msg, Told) else _said(record),
            trace_id.get(),
            self.worker,
        )

    def enqueue(self, entry: object) -> None:
        """Let a line wait, or drop it."""
        if self.queue.qsize() >= _MOST_WAITING:
            self.dropped += 1
        else:
            self.queue.put(entry)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of logging
        """Tell of a line whose own words fail; `logging` would print all of it."""
        words = f"a line of {record.filename}:{record.lineno} cannot be written"
        entry = Entry(record.created, record.levelname, record.name, words)
        entry.worker = self.worker
        self.enqueue(entry)


def _said(record: logging.LogRecord) -> str:
    """Say what a record says, but no message of an exception: it may quote anything."""
    args: Any = record.args
    if isinstance(args, tuple):
        args = tuple(_without_message(each) for each in args)
    message = str(_without_message(record.msg))
    words = message % args if args else message
    ours = record.name == _OURS or record.name.startswith(f"{_OURS}.")
    if not ours:  # what asyncio adds in more lines shows objects, exceptions among them
        words = words.partition("\n")[0]
    error = record.exc_info[1] if record.exc_info else None
    if error:
        words = f"{words} ({in_words(error)})" if ours else in_words(error)
    return words[:_LONGEST]


def _without_message(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value


class _Writer:
    """The thread that writes.

    Args:
        waiting: Whose lines are written.
        render: Makes the bytes of one.

    """

    def __init__(self, waiting: _Waiting, render: Callable[[Entry], bytes]) -> None:
        self._waiting = waiting
        self._render = render
        self._ending = threading.Event()
        self._told = 0
        self._thread: threading.Thread

    def begin(self, where: Callable[[], int]) -> None:
        """Start writing."""
        self._thread = threading.Thread(
            # Daemon: it may hang in a write at the end, and nobody waits for that.
            target=self._run,
            args=(where,),
            name="logs",
            daemon=True,
        )
        self._thread.start()

    def end(self) -> None:
        """Write what waits, unless that takes too long."""
        self._waiting.queue.put(None)
        self._ending.set()
        self._thread.join(_STOP_WITHIN_S)

    def _run(self, where: Callable[[], int]) -> None:
        queue = self._waiting.queue
        ended = False
        while not ended:
            entries: list[Entry | None] = [queue.get()]
            if queue.qsize() < _LINES_TOGETHER:
                self._ending.wait(_TOGETHER_S)
            more = min(queue.qsize(), _LINES_TOGETHER)
            entries += [queue.get() for _ in range(more)]
            ended = None in entries
            self._write_all(where(), [each for each in entries if each])

    def _write_all(self, fd: int, entries: list[Entry]) -> None:
        if dropped := self._waiting.dropped - self._told:
            self._told += dropped
            entries.append(_dropped(dropped, self._waiting.worker))
        part = b""
        for entry in entries:
            line = self._render(entry)
            if len(part) + len(line) > _BYTES_TOGETHER:
                _write(fd, part)
                part = b""
            part += line
        _write(fd, part)


def _dropped(count: int, worker: int | None) -> Entry:
    said = Line(
        f"{count} lines were dropped: nobody read them fast enough",
        {"event": "lines_dropped", "count": count},
    )
    return Entry(time.time(), "WARNING", __name__, said, worker=worker)


def _uncaught(unhandled: "threading.ExceptHookArgs | sys.UnraisableHookArgs") -> None:
    """Tell of an exception in a thread, or where it could not be raised."""
    if unhandled.exc_value and not isinstance(unhandled.exc_value, SystemExit):
        error = unhandled.exc_value
        _python.error("nobody caught it", exc_info=error)


def _write(fd: int, data: bytes) -> None:
    """Write to a file descriptor, whatever becomes of it.

    Not by way of `sys.stderr`, whose lock a thread that hangs would hold for ever.
    """
    try:
        while data:
            try:
                data = data[os.write(fd, data) :]
            except BlockingIOError:  # somebody made it non-blocking for all
                select.select([], [fd], [])
    except OSError:  # it is closed, or its disk is full: there is nobody to tell
        return
