"""How many cores this process may use."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")
"""Of a container: microseconds of CPU time, or `max`, in each so many microseconds."""


def workers_by_default(quota: Path = _QUOTA) -> int:
    """Give one worker for each core, as far as the system and its container allow.

    Elsewhere than on Linux one: there the system does not spread connections.

    Args:
        quota: The file that says what a container may use.

    """
    if not can_share_a_port():
        return 1
    cores = len(os.sched_getaffinity(0))
    with suppress(OSError, ValueError):  # there is no such file, or no limit
        most, every = quota.read_text("ascii").split()
        cores = min(cores, int(most) // int(every))
    return max(cores, 1)


def can_share_a_port() -> bool:
    """Tell whether the system spreads connections over those who listen on one port."""
    return sys.platform == "linux"
