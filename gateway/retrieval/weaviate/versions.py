"""The version of a collection: the largest number that one of its writers has left there.

Weaviate writes nothing under a condition, so that two who raise one number could lower it.
Each process therefore has a number of its own, a mark, in an object beside the documents,
and raises it after what it wrote can be read: a search that sees the number sees the write.
It is the time of the write in microseconds, or one more than the largest that was there.
"""

import asyncio
import time
from uuid import uuid4

from gateway.retrieval.cluster.reached import reached
from gateway.retrieval.weaviate.calls import Calls
from gateway.retrieval.weaviate.layout import VERSION
from gateway.retrieval.weaviate.objects import mark, properties

# Where there are many marks, those go whose processes have not written for a day: there is a
# larger one by then.
_MANY = 32
_OLD_US = 24 * 3600 * 1_000_000


class Versions:
    """Reads and raises the versions of collections."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._writer = str(uuid4())
        self._locks: dict[str, asyncio.Lock] = {}

    async def marks(self, name: str) -> dict[str, int]:
        """Give the version of each writer, by its UUID."""
        found = await self._calls.marks(name)
        return {each.metadata.id: properties(each)[VERSION] for each in found}

    async def now(self, name: str) -> int:
        """Give the version that is there."""
        return max((await self.marks(name)).values(), default=0)

    async def raise_(self, name: str) -> int:
        """Give a change of a collection its version, when it can be read."""
        # Of two numbers of this process the larger one must be there at last.
        async with self._locks.setdefault(name, asyncio.Lock()):
            marks = await self.marks(name)
            before = max(marks.values(), default=0)
            version = max(time.time_ns() // 1000, before + 1)
            raised = mark(self._writer, version, self._calls.place(name))
            await self._calls.put(name, [raised])
            if len(marks) > _MANY:
                old = [one for one, at in marks.items() if at < version - _OLD_US]
                if old:
                    await self._calls.remove(name, old)
        return version

    async def reached(self, name: str, version: int, deadline: float) -> int:
        """Wait until this version is there, and give the one that is."""
        return await reached(name, version, deadline, lambda: self.now(name))
