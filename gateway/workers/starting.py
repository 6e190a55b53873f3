"""What a worker is told at its start, by its parent alone, on its standard input."""

import base64
import os
import pickle
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.settings import Settings

COMMAND: Final = "worker"
"""Of the program, hidden from people."""

_STDIN: Final = 0
_SIZE: Final = struct.Struct(">I")


class NotStarted(Exception):
    """There is no parent at the other end of standard input."""


@dataclass(frozen=True, slots=True)
class Start:
    """What one worker has to know."""

    settings: Settings
    """With the address that all of them share."""
    place: int
    """From 0."""
    count: int
    """Of all workers."""


def command(place: int) -> list[str]:
    """Give the command that starts a worker: the same program, from the same place.

    Args:
        place: Which one; for those who look at processes.

    """
    # `-m` looks in the working folder first, which only a parent that did so may trust.
    safe = [] if sys.path[:1] == [str(Path.cwd())] else ["-P"]
    return [sys.executable, *safe, "-m", "gateway", COMMAND, str(place)]


def said(start: Start) -> bytes:
    """Put it into the bytes that a worker reads first."""
    start_bytes = pickle.dumps(start)
    return _SIZE.pack(len(start_bytes)) + start_bytes


def pickled(settings: Settings) -> str:
    """Write settings, secrets included, for the socket that a parent and its worker have."""
    return base64.b64encode(pickle.dumps(settings)).decode()


def unpickled(said: str) -> Settings:
    """Read what the parent wrote.

    Raises:
        TypeError: It is something else.

    """
    # As below: it came from this program, on a socket that nobody else has.
    settings = pickle.loads(base64.b64decode(said))  # noqa: S301 - see above
    if not isinstance(settings, Settings):
        message = type(settings).__name__
        raise TypeError(message)
    return settings


def receive() -> tuple[Start, socket.socket]:
    """Hear what the parent tells, and give the socket on which it can be asked.

    Raises:
        NotStarted: Nobody told anything.

    """
    try:
        end = socket.socket(fileno=os.dup(_STDIN))
    except OSError as error:
        raise NotStarted from error
    # What asks for input now gets none, instead of what the parent says.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    (size,) = _SIZE.unpack(_exactly(end, _SIZE.size))
    # The parent is this program, and the socket came from it: secrets are part of it.
    start = pickle.loads(_exactly(end, size))  # noqa: S301 - see above
    if not isinstance(start, Start):
        raise NotStarted
    return start, end


def _exactly(end: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        part = end.recv(size - len(got))
        if not part:
            raise NotStarted
        got += part
    return got
