"""Run several things at once and leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def together() -> AsyncIterator[asyncio.TaskGroup]:
    """Let tasks run beside the block, and end with all of them.

    When one fails, the block and the others are cancelled and awaited, and its plain
    exception is raised: never a group, so that callers can catch what they know.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as failed:
        raise _first(failed) from None


async def all_of(*coroutines: Coroutine[Any, Any, T]) -> list[T]:
    """Run all to their end and give their results in order; when one fails, as above."""
    async with together() as group:
        tasks = [group.create_task(each) for each in coroutines]
    return [task.result() for task in tasks]


async def ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel what still runs, and return when nothing does.

    How they end is told to nobody. A cancellation that comes meanwhile waits for them
    too: otherwise a caller who is cancelled twice would leave tasks behind.
    """
    for task in tasks:
        task.cancel()
    interrupted: asyncio.CancelledError | None = None
    while running := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(running)
        except asyncio.CancelledError as error:
            interrupted = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains that nobody did
    if interrupted:
        raise interrupted


@asynccontextmanager
async def in_the_background(endless: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Let something run beside the block, and end and await it with the block."""
    task = asyncio.create_task(endless)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()  # it was to be endless: what ended it is a bug


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
