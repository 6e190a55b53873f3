"""Notice that files were replaced, without a look into them: by what their places say."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What changes with a file; a link counts as what it leads to."""

    modified_ns: int
    size: int
    inode: int
    device: int


def stamps(paths: Sequence[Path]) -> tuple[Stamp | None, ...]:
    """Look at the places of files; None: there is none, or none that may be seen."""
    return tuple(_stamp(path) for path in paths)


async def whenever_changed(
    paths: Sequence[Path],
    seen: tuple[Stamp | None, ...],
    read: Callable[[], Awaitable[bool]],
    *,
    every_s: float,
) -> None:
    """Read files again whenever one of them was replaced, until cancelled.

    Args:
        paths: The files.
        seen: How they were when they were read last.
        read: Reads them; false where that failed: it is tried again next time.
        every_s: How often they are looked at, beside the event loop.

    """
    while True:
        await asyncio.sleep(every_s)
        now = await asyncio.to_thread(stamps, paths)
        if now != seen and await read():
            seen = now


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
