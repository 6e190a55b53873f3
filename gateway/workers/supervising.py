"""The parent: starts workers, replaces those that end, and stops all of them.

It serves no call itself, so that nothing which a call can do reaches it.
"""

import asyncio
import itertools
import logging
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from gateway.concurrency import all_of, ended
from gateway.events import Reloaded
from gateway.reloading.change import CannotChange
from gateway.settings import Settings
from gateway.workers.process import Worker
from gateway.workers.starting import Start

_log = logging.getLogger(__name__)

_MOST_FAILURES: Final = 3
"""So many workers may end before they serve, until all did so once."""
_SHORT_LIFE_S: Final = 10.0
"""Who served longer is replaced at once."""
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 10.0
_CLOSING_S: Final = 5.0
"""What a worker may take on top of the grace: for what it has not exported yet."""


class CannotServe(Exception):
    """The workers cannot be started; says why."""


class Workers:
    """All workers of one gateway.

    Args:
        settings: With an address whose port is known.
        count: How many there are.
        departed: Given the last metrics of a worker that is gone.

    """

    def __init__(
        self,
        settings: Settings,
        *,
        count: int,
        departed: Callable[[Sequence[Any]], None] = lambda _: None,
    ) -> None:
        self.settings = settings
        """What workers start with."""
        self._count = count
        self._departed = departed
        self._workers: dict[int, Worker] = {}
        self._failures = 0
        self.all_served = asyncio.Event()
        """Set when all serve for the first time."""
        self._stopping = asyncio.Event()

    async def numbers(self) -> list[list[Any]]:
        """Give the metrics of each worker."""
        await all_of(*(each.look() for each in self._in_order()))
        # Whoever went meanwhile is counted among those that are gone.
        return [each.numbers for each in self._in_order()]

    async def run(self) -> None:
        """Start all, and look after them until the stop.

        Raises:
            CannotServe: They end before they serve.

        """
        await all_of(*(self._keep(place) for place in range(self._count)))

    async def put(self, settings: Settings) -> None:
        """Have all workers serve with other settings, or none.

        Raises:
            CannotChange: One of them cannot.

        """
        workers = [each for each in self._in_order() if each.serves]
        told = await all_of(*(each.prepare(settings) for each in workers))
        if problems := tuple(dict.fromkeys(itertools.chain(*told))):
            await all_of(*(each.discard() for each in workers))
            raise CannotChange(problems)
        self.settings = settings
        await all_of(*(each.apply(settings) for each in workers))
        await self._bring_up_to_date()

    async def count(self, how: Reloaded) -> None:
        """Have all workers count a reload."""
        await all_of(*(each.count(how.outcome) for each in self._in_order()))

    async def _bring_up_to_date(self) -> None:
        """Change those that began to serve meanwhile, with what held before."""
        for each in self._in_order():
            if each.serves and each.settings is not self.settings:
                if await each.prepare(self.settings):
                    each.signal(signal.SIGTERM)  # whoever replaces it starts with them
                    continue
                await each.apply(self.settings)

    async def stop(self, running: "asyncio.Task[None]") -> None:
        """Let the calls in flight finish, and kill whoever takes longer than the grace.

        Args:
            running: What runs here.

        """
        grace_s = self.settings.server.grace_s
        self._stopping.set()
        for each in self._in_order():
            each.signal(signal.SIGTERM)
        await asyncio.wait([running], timeout=grace_s + _CLOSING_S)
        if not running.done():
            left = ", ".join(str(each.place) for each in self._in_order())
            _log.warning("workers that do not stop are killed: %s", left)
        await ended(running)

    def _in_order(self) -> list[Worker]:
        return [self._workers[place] for place in sorted(self._workers)]

    async def _keep(self, place: int) -> None:
        """Have one worker serve at this place until the stop."""
        now = asyncio.get_running_loop().time
        pause_s = 0.0
        while not self._stopping.is_set():
            began = now()
            worker = self._worker(place)
            self._workers[place] = worker
            try:
                code = await worker.run()
            finally:
                del self._workers[place]
                self._departed(worker.numbers)
            if self._stopping.is_set():
                return
            how = _how(code)
            if not self.all_served.is_set():
                self._failed_to_start(worker, how)
            if now() - began > _SHORT_LIFE_S:
                pause_s = 0.0
            else:
                pause_s = min(max(2 * pause_s, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)
            why = f" ({worker.problem})" if worker.problem else ""
            _log.error(
                "worker %d %s%s and is replaced in %.1f s", place, how, why, pause_s
            )
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stopping.wait()

    def _failed_to_start(self, worker: Worker, how: str) -> None:
        if worker.problem:
            raise CannotServe(worker.problem)
        self._failures += 1
        if self._failures >= _MOST_FAILURES:
            message = (
                f"{self._failures} workers ended before all served, the last one, "
                f"worker {worker.place}, {how}"
            )
            raise CannotServe(message)

    def _worker(self, place: int) -> Worker:
        def served() -> Settings:
            if self.all_served.is_set():
                _log.info("worker %d serves in its place", place)
            elif sum(each.serves for each in self._workers.values()) == self._count:
                self.all_served.set()
            return self.settings

        async def others() -> list[str]:
            told = await all_of(
                *(each.backends() for each in self._in_order() if each.place != place)
            )
            return [each for each in told if each is not None]

        start = Start(self.settings, place=place, count=self._count)
        return Worker(start, served=served, others=others)


def _how(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:  # one that has no name here
        return f"was ended by signal {-code}"
