"""How many workers the machine, or its container, has room for."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_CONTAINER: Final = Path("/sys/fs/cgroup")
_BYTES: Final = 512 * 1024 * 1024
"""What one worker may come to need, with models and a full memory of scores."""


def workers_by_default(container: Path = _CONTAINER) -> int:
    """Give one worker for each core, as far as they and the memory may be used.

    Elsewhere than on Linux one: there the system does not spread connections.

    Args:
        container: The folder with the files that say what a container may use.

    """
    if not can_share_a_port():
        return 1
    cores = len(os.sched_getaffinity(0))
    room = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):  # there is no such file, or no limit
        most, every = (container / "cpu.max").read_text("ascii").split()
        cores = min(cores, int(most) // int(every))
    with suppress(OSError, ValueError):
        room = min(room, int((container / "memory.max").read_text("ascii")))
    return max(min(cores, room // _BYTES), 1)


def can_share_a_port() -> bool:
    """Tell whether the system spreads connections over those who listen on one port."""
    return sys.platform == "linux"
