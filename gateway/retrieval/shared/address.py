"""Where the process that writes is reached: a Unix socket in the store's folder.

The path of a socket has room for about a hundred bytes; where the folder's is longer, the
socket is in a folder of its own below the system's for temporary files, and a file says so.
"""

import os
import shutil
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

_SOCKET = "writer.sock"
_ELSEWHERE = "writer.at"
_MOST_PATH_BYTES = 100
_WAITING = 128


def address(folder: Path) -> Path:
    """Say where the owner is to be found, if there is one."""
    with suppress(FileNotFoundError):
        return Path((folder / _ELSEWHERE).read_text("utf-8"))
    return folder / _SOCKET


def bound(folder: Path) -> socket.socket:
    """Make the socket, for the holder of the lease; whoever came before it is gone.

    Raises:
        OSError: It cannot be made.

    """
    released(folder)
    path = folder / _SOCKET
    new = path.with_suffix(".new")
    elsewhere = len(os.fsencode(new)) > _MOST_PATH_BYTES
    if elsewhere:
        path = Path(tempfile.mkdtemp(prefix="rerank-gateway-")) / _SOCKET
        new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(os.fspath(new))
        # Before it listens and has its name, so that nobody else can have called.
        new.chmod(0o600)
        listening.listen(_WAITING)
        listening.setblocking(False)  # noqa: FBT003 - its only argument
        new.replace(path)
        if elsewhere:
            note = folder / f"{_ELSEWHERE}.new"
            note.write_text(os.fspath(path), "utf-8")
            note.replace(folder / _ELSEWHERE)
    except BaseException:
        listening.close()
        raise
    return listening


def released(folder: Path) -> None:
    """Remove the socket, for the holder of the lease."""
    path = address(folder)
    path.unlink(missing_ok=True)
    if path.parent != folder:
        shutil.rmtree(path.parent, ignore_errors=True)
        (folder / _ELSEWHERE).unlink(missing_ok=True)
