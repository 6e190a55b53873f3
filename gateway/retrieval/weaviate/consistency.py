"""How many copies have a write before it is answered.

All of them, so that every search sees it, whichever copy it asks. While one is away that
cannot be, and most of them must do: whoever is there has it, and who was away learns it
when it is back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gateway.retrieval.errors import EngineFailed
from weaviate_api.v1.weaviate_pb2 import (
    CONSISTENCY_LEVEL_ALL,
    CONSISTENCY_LEVEL_QUORUM,
    ConsistencyLevel,
)

if TYPE_CHECKING:
    Write = Callable[[ConsistencyLevel.ValueType, float], Awaitable[None]]

# So long nobody waits for one that was away.
_AWAY_S = 5.0
# To hear from all of them: of the time, and at most. A cluster takes seconds to notice
# that a node is dead, and callers do not wait for ever.
_SHARE = 0.4
_ALL_S = 10.0


class Copies:
    """Writes to all copies, or to most of them."""

    def __init__(self) -> None:
        self._away_until = 0.0

    async def written(
        self,
        limit_s: float,
        write: "Write",
    ) -> None:
        """Write, and once more where not all could have it.

        Args:
            limit_s: How long it may take altogether.
            write: Does it, in so many seconds.

        """
        now = asyncio.get_running_loop().time
        until = now() + limit_s
        if now() < self._away_until:
            await write(CONSISTENCY_LEVEL_QUORUM, limit_s)
            return
        try:
            await write(CONSISTENCY_LEVEL_ALL, min(limit_s * _SHARE, _ALL_S))
        except EngineFailed:
            # What is wrong with the write itself fails again.
            await write(CONSISTENCY_LEVEL_QUORUM, max(0.0, until - now()))
            self._away_until = now() + _AWAY_S
