"""Wait for a version of a collection that another gateway may have written."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.retrieval.errors import VersionNotReached

_POLL_S = 0.05


async def reached(
    name: str, version: int, deadline: float, look: Callable[[], Awaitable[int]]
) -> int:
    """Wait until this version is there, and give the one that is.

    Args:
        name: Of the collection.
        version: At least; 0: whichever there is.
        deadline: In event-loop seconds.
        look: Gives the version that is there now.

    Raises:
        VersionNotReached: It is not there in time.

    """
    now = asyncio.get_running_loop().time
    while True:
        there = await look()
        if there >= version:
            return there
        if now() >= deadline:
            message = f"{name}: version {version} is not there yet"
            raise VersionNotReached(message, version=there)
        await asyncio.sleep(min(_POLL_S, max(0.0, deadline - now())))
