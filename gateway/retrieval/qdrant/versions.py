"""The version of a collection: a number in a point of its own, which only ever grows.

Qdrant numbers the writes of each shard by itself, and these numbers mean nothing to another
shard or another gateway. So whoever has written raises the number in this point, after what
was written can be read: a search that sees the number sees the write. It is the time of the
write in microseconds, or one more than what was there.
"""

import time

from qdrant_client import models

from gateway.retrieval.cluster.reached import reached
from gateway.retrieval.errors import EngineFailed
from gateway.retrieval.qdrant.calls import Calls

# No document has it: those of documents are hashes.
MARK = "00000000-0000-0000-0000-000000000000"

_VERSION = "version"


class Versions:
    """Reads and raises the versions of collections."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def now(self, name: str, *, agreed: bool = False) -> int:
        """Give the version that is there.

        Args:
            name: Of the collection.
            agreed: Most of the replicas are asked, and not just one.

        """
        found = await self._calls.points(name, [MARK], payload=True, agreed=agreed)
        return int((found[0].payload or {})[_VERSION]) if found else 0

    async def raise_(self, name: str) -> int:
        """Give a change of a collection its version, when it can be read.

        Several that change it at once may share one.
        """
        before = await self.now(name, agreed=True)
        version = max(time.time_ns() // 1000, before + 1)
        lower = models.FieldCondition(key=_VERSION, range=models.Range(lt=version))
        mark = models.PointStruct(id=MARK, vector={}, payload={_VERSION: version})
        # Where another one was faster its version stays, which is as good: whoever sees
        # one that was not there before sees what was written before.
        await self._calls.put(name, [mark], only_over=models.Filter(must=[lower]))
        there = await self.now(name, agreed=True)
        if there <= before:
            message = f"{name}: its version is lost"
            raise EngineFailed(message)
        return there

    async def reached(self, name: str, version: int, deadline: float) -> int:
        """Wait until this version is there, and give the one that is."""
        return await reached(
            name, version, deadline, lambda: self.now(name, agreed=version > 0)
        )
