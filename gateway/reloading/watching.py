"""Notice that files were replaced, without a look into them: by what their places say."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from pathlib import Path
from typing import NamedTuple


class Stamp(NamedTuple):
    """What changes with a file; a link counts as what it leads to.

    So a file that was renamed into its place is seen, and so is a link that leads elsewhere,
    as in the volumes that Kubernetes makes of a ConfigMap.
    """

    modified_ns: int
    size: int
    inode: int
    device: int


Stamps = dict[Path, Stamp | None]


def stamps(paths: Collection[Path]) -> Stamps:
    """Look at the places of files; None: there is none, or none that may be seen."""
    return {path: _stamp(path) for path in paths}


async def changes(
    paths: Callable[[], Collection[Path]], told: Stamps, *, every_s: float
) -> AsyncGenerator[None, None]:
    """Tell whenever a file was replaced, until cancelled.

    A file that changes from one look to the next may be half written: it is told when it
    rests.

    Args:
        paths: Gives the files, which may be others each time.
        told: How they were when they were read last.
        every_s: How often they are looked at, beside the event loop.

    """
    seen = told
    while True:
        await asyncio.sleep(every_s)
        watched = paths()
        now = await asyncio.to_thread(stamps, watched)
        # What is watched from now on counts as it is now.
        told = {path: told.get(path, now[path]) for path in watched}
        if now == seen and now != told:
            told = now
            yield
        seen = now


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return Stamp(found.st_mtime_ns, found.st_size, found.st_ino, found.st_dev)
