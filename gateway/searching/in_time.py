"""Ask the engine for what a search can do without, and wait only so long."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from gateway.retrieval.errors import EngineFailed

T = TypeVar("T")


async def in_time(asked: Awaitable[T], *, until: float) -> T:
    """Wait for an answer.

    Args:
        asked: What is waited for.
        until: How long, in event-loop seconds.

    Raises:
        EngineFailed: It was not there by then.

    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        async with asyncio.timeout_at(until):
            return await asked
    except TimeoutError as error:
        message = f"no answer in {loop.time() - began:.2f} s"
        raise EngineFailed(message) from error
