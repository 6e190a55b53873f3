"""Read files again when they were replaced, and until that succeeds."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from gateway.reloading.watching import Stamps, stamps


async def whenever_changed(
    paths: Sequence[Path],
    seen: Stamps,
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
