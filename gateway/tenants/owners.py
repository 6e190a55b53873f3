"""Which processes are alive: what a dead one has kept back, others must settle.

A process holds a lock on a file of its own for as long as it lives, which the system takes
from it however it ends: numbers of processes are used again, and a process that hangs for a
minute is not dead.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4


class Owner(Protocol):
    """One process among those that share a ledger."""

    name: str

    def is_alive(self, name: str) -> bool:
        """Tell whether another one, or this one, is still there."""


class LockedOwner:
    """Is alive for as long as its file beside the ledger is locked.

    Args:
        ledger: The file of the ledger.

    """

    def __init__(self, ledger: Path) -> None:
        self.name = uuid4().hex
        self._ledger = ledger
        self._lock = os.open(self._file(self.name), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def is_alive(self, name: str) -> bool:
        """Try to lock its file, and take it away if that is possible."""
        if name == self.name:
            return True
        file = self._file(name)
        try:
            lock = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        file.unlink(missing_ok=True)
        return False

    def close(self) -> None:
        """Be no more."""
        with suppress(FileNotFoundError):
            self._file(self.name).unlink()
        os.close(self._lock)

    def _file(self, name: str) -> Path:
        return self._ledger.with_name(f"{self._ledger.name}-{name}.alive")


class OnlyOwner:
    """Of a ledger that nobody else sees."""

    name = "only"

    def is_alive(self, name: str) -> bool:
        """Know of nobody else."""
        return name == self.name
