"""The folder that a store lives in: whose it is, and which process may write."""

import fcntl
import json
import os
from pathlib import Path

from gateway.retrieval.errors import DamagedStore, StoreFull, WriterTaken

_MARK = "store.json"
_LEASE = "writer.lock"
_FORMAT = 1


class Lease:
    """The right to write, held until it is given back or the process ends.

    The kernel gives it back with the process, however that ended.
    """

    def __init__(self, folder: Path) -> None:
        """Take it, or raise `WriterTaken`."""
        try:
            self._file = os.open(folder / _LEASE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise unusable(folder, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.read(self._file, 32).decode("ascii", "replace").strip()
            os.close(self._file)
            message = f"{folder}: process {holder or 'unknown'} writes to it already"
            raise WriterTaken(message) from error
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def give_back(self) -> None:
        """Let another process write."""
        os.close(self._file)


def prepare(folder: Path) -> Lease:
    """Make the folder ours, if it is empty or there is none, and take the lease.

    Raises:
        DamagedStore: It is somebody else's, or of another version.
        WriterTaken: Another process writes.

    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_new = not (folder / _MARK).exists()
        strange = {each.name for each in folder.iterdir()} - {_LEASE, f"{_MARK}.new"}
    except OSError as error:
        raise unusable(folder, error) from error
    if is_new and strange:
        message = f"{folder}: is not empty and not a store of ours; nothing was changed"
        raise DamagedStore(message)
    lease = Lease(folder)
    try:
        if is_new:
            _mark(folder)
        inspect(folder)
    except BaseException:
        lease.give_back()
        raise
    return lease


def inspect(folder: Path) -> None:
    """Make sure that the folder holds a store that we can read.

    Raises:
        DamagedStore: It does not.

    """
    try:
        mark = json.loads((folder / _MARK).read_bytes())
    except FileNotFoundError as error:
        message = f"{folder}: there is no store"
        raise DamagedStore(message) from error
    except (OSError, ValueError) as error:
        message = f"{folder}: {_MARK} cannot be read; nothing was changed"
        raise DamagedStore(message) from error
    if not isinstance(mark, dict) or mark.get("format") != _FORMAT:
        message = f"{folder}: is not a store of format {_FORMAT}; nothing was changed"
        raise DamagedStore(message)


def _mark(folder: Path) -> None:
    new = folder / f"{_MARK}.new"
    try:
        with new.open("wb") as file:
            file.write(json.dumps({"engine": "lancedb", "format": _FORMAT}).encode())
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / _MARK)
    except OSError as error:
        message = f"{folder}: {error.strerror}"
        raise StoreFull(message) from error


def unusable(folder: Path, error: OSError) -> DamagedStore:
    """Say that the folder cannot be used at all."""
    return DamagedStore(f"{folder}: {error.strerror or 'cannot be used'}")
