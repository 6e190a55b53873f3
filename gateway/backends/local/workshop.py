"""Where texts get their features: a few threads, a memory, and nothing done twice."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from gateway.backends.local.features import (
    MAX_CHARACTERS,
    Features,
    Memory,
    TextEncoder,
    features_of,
    words_of,
)
from gateway.backends.local.threads import Threads, drop, result_of

T = TypeVar("T")


@dataclass(slots=True)
class _Job:
    """One text that is being worked on, and how many requests wait for it."""

    done: asyncio.Future[Features]
    waiting: int = 0


class Workshop:
    """Works out features in threads of its own and remembers them.

    A text that two requests need at the same time is worked on once. A request has at
    most as many jobs in the threads' queue as there are threads, so that one which
    needs twenty encodings does not stand in front of one which needs none.

    Everything but the jobs happens on one event loop.

    Args:
        encoder: Called from the threads.
        threads: How many texts are worked on at the same time.
        max_memory_bytes: How much to remember; 0 remembers nothing.

    """

    def __init__(
        self, *, encoder: TextEncoder, threads: int, max_memory_bytes: int
    ) -> None:
        self._encoder = encoder
        self._threads = threads
        self._memory = Memory(max_bytes=max_memory_bytes)
        self._pool = Threads(threads)
        self._jobs: dict[tuple[bytes, bool], _Job] = {}

    async def features(
        self, texts: Sequence[str], *, with_encoding: bool, scope: str = ""
    ) -> list[Features]:
        """Give the features of every text, in order; equal texts share one object.

        A text over 32 768 characters is cut there. Cancellation drops every job that
        has not begun and that nobody else waits for.

        Args:
            texts: The texts.
            with_encoding: Whether their vectors are needed.
            scope: Whose they are; nothing is shared with others.

        Raises:
            InferenceFailed: From the encoder; the other jobs of this call are dropped.
            Closed: `close` was called.

        """
        cuts = [text[:MAX_CHARACTERS] for text in texts]
        names = [self._memory.name(cut, scope=scope) for cut in cuts]
        found: dict[bytes, Features] = {}
        missing: dict[bytes, Callable[[], Features]] = {}
        for name, cut in zip(names, cuts, strict=True):
            known = self._memory.get(name)
            if known and (known.encoding or not with_encoding):
                found[name] = known
            elif with_encoding:
                missing[name] = partial(features_of, cut, known, self._encoder)
            else:
                missing[name] = partial(words_of, cut)
        found |= await self._work_out(missing, with_encoding=with_encoding)
        return [found[name] for name in names]

    async def run(self, work: Callable[[], T]) -> T:
        """Run something else that is too long for the event loop in a thread.

        Raises:
            Closed: `close` was called.

        """
        return await self._pool.run(work)

    def close(self) -> None:
        """Drop what has not begun, wait for what has (some 30 ms), end the threads."""
        self._pool.close()

    async def _work_out(
        self, missing: dict[bytes, Callable[[], Features]], *, with_encoding: bool
    ) -> dict[bytes, Features]:
        found: dict[bytes, Features] = {}
        waiting: dict[asyncio.Future[Features], bytes] = {}
        todo = iter(missing.items())
        try:
            while len(found) < len(missing):
                while len(waiting) < self._threads and (entry := next(todo, None)):
                    name, work = entry
                    waiting[self._join((name, with_encoding), work)] = name
                done, _ = await asyncio.wait(
                    waiting, return_when=asyncio.FIRST_COMPLETED
                )
                for future in done:
                    features = result_of(future)
                    name = waiting.pop(future)
                    self._leave((name, with_encoding))
                    self._memory.put(name, features)
                    found[name] = features
        finally:
            for name in waiting.values():
                self._leave((name, with_encoding))
        return found

    def _join(
        self, key: tuple[bytes, bool], work: Callable[[], Features]
    ) -> asyncio.Future[Features]:
        """Begin a job, or wait for the one that somebody else has begun."""
        job = self._jobs.get(key)
        if job is None:
            job = self._jobs[key] = _Job(done=self._pool.submit(work))
        job.waiting += 1
        return job.done

    def _leave(self, key: tuple[bytes, bool]) -> None:
        """Stop waiting for a job; the last one to leave drops it."""
        job = self._jobs[key]
        job.waiting -= 1
        if job.waiting:
            return
        del self._jobs[key]
        drop(job.done)
