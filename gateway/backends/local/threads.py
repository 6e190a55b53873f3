"""A few threads of our own: work that has not begun can be dropped."""

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Closed(Exception):
    """The threads are gone, so nothing can be worked out any more."""


class Threads:
    """Runs what is too long for the event loop, which owns everything but the work.

    Args:
        count: How many jobs run at the same time.

    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="local-scorer")
        self._closed = False

    async def run(self, work: Callable[[], T]) -> T:
        """Run one job.

        Raises:
            Closed: `close` was called.

        """
        (result,) = await self.run_all([work])
        return result

    async def run_all(self, works: Iterable[Callable[[], T]]) -> list[T]:
        """Run many jobs and give their results in order.

        At most as many of them as there are threads are in the queue, so that a caller
        with a hundred jobs does not stand in front of one with a single one. Failure
        of a job and cancellation drop those that have not begun.

        Raises:
            Closed: `close` was called.

        """
        results: dict[int, T] = {}
        waiting: dict[asyncio.Future[T], int] = {}
        todo = enumerate(works)
        try:
            while True:
                while len(waiting) < self._count and (entry := next(todo, None)):
                    place, work = entry
                    waiting[self.submit(work)] = place
                if not waiting:
                    break
                # Not awaited itself: its cancellation by `close` is none of this task.
                done, _ = await asyncio.wait(
                    waiting, return_when=asyncio.FIRST_COMPLETED
                )
                for future in done:
                    results[waiting.pop(future)] = result_of(future)
        finally:
            for future in waiting:
                drop(future)
        return [results[place] for place in range(len(results))]

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Queue one job; whoever does this takes `result_of` it, or drops it.

        Raises:
            Closed: `close` was called.

        """
        if self._closed:
            raise Closed
        return asyncio.get_running_loop().run_in_executor(self._pool, work)

    def close(self) -> None:
        """Drop what has not begun, wait for what has, end the threads."""
        self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)


def result_of(future: asyncio.Future[T]) -> T:
    """Give the result of a job that is done, or raise what it raised.

    Raises:
        Closed: It was dropped by `close`.

    """
    # Whoever cancels a job has left it before, except `close`.
    if future.cancelled():
        raise Closed
    return future.result()


def drop(future: asyncio.Future[T]) -> None:
    """Cancel a job that has not begun; what fails from now on concerns nobody."""
    if not future.cancel() and not future.cancelled():
        # Done: looked at, or asyncio would complain of a failure that nobody saw.
        future.exception()
