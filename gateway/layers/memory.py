"""Remember scores in this process, bounded by bytes; and what any memory of scores is."""

import asyncio
from collections.abc import Mapping, Sequence
from operator import is_
from random import Random
from typing import NamedTuple, Protocol

from cachetools import TLRUCache

from gateway.ranking.normalize import Scale

# As measured: the key, the entry with its numbers, and what the cache keeps of each, three
# dicts and a heap. A test compares it with what the allocator says.
BYTES_PER_ENTRY = 700

# How much earlier than its time an entry may be forgotten.
_SPREAD = 0.1


class Entry(NamedTuple):
    """What one model said about one document."""

    raw: float
    """The very number that it gave."""
    scale: Scale
    truncated: bool
    """The model saw only a part of the document."""
    stored_at: float
    """When it was asked, in event-loop seconds."""
    ttl_s: float
    """How long after that it may be remembered."""


class Judge(NamedTuple):
    """Who gave a score: numbers of two are not comparable."""

    model: str
    revision: str


class Memory(Protocol):
    """Where scores are remembered. It never fails: what it cannot tell, it does not know."""

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last under this name; None: nobody has yet."""

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Remember scores by their keys, and by its name who gave them."""


def soon_forgotten_s(ttl_s: float, chance: Random) -> float:
    """Shorten a time by up to a tenth: what came together does not leave together.

    Never lengthen it, since a caller is promised nothing older.
    """
    return ttl_s * (1.0 - _SPREAD * chance.random())


class _Entries(TLRUCache[bytes, Entry, float]):
    """Counts what makes room for others, and knows nothing of what it does not know.

    `get` would look for each key twice.
    """

    displaced = 0

    def __missing__(self, _: bytes) -> None:  # type: ignore[override]  # what else?
        """Give None."""

    def popitem(self) -> tuple[bytes, Entry]:
        """Forget what was not used for the longest time."""
        self.displaced += 1
        return super().popitem()


class ProcessMemory:
    """Remembers in this process, and forgets what was not used for the longest time.

    One for all backends, whose names are part of the keys: the busiest one gets the most
    of it. Nothing here waits.

    Args:
        max_bytes: How much memory the entries may take; 0 remembers nothing.
        chance: Decides how much earlier than its time each entry is forgotten.

    """

    def __init__(self, *, max_bytes: int, chance: Random) -> None:
        self._expired = 0
        self._judges: dict[bytes, Judge] = {}
        self._entries = _Entries(
            maxsize=max_bytes,
            ttu=lambda _, entry, __: (
                entry.stored_at + soon_forgotten_s(entry.ttl_s, chance)
            ),
            timer=lambda: asyncio.get_running_loop().time(),
            getsizeof=lambda _: BYTES_PER_ENTRY,
        )

    @property
    def used_bytes(self) -> int:
        """How much of the bound is used."""
        self._expire()
        return int(self._entries.currsize)

    @property
    def entries(self) -> int:
        """How many scores it remembers."""
        self._expire()
        return len(self._entries)

    @property
    def expired(self) -> int:
        """How many it has forgotten because their time was over."""
        self._expire()
        return self._expired

    @property
    def displaced(self) -> int:
        """How many it has forgotten for want of room."""
        return self._entries.displaced

    def _expire(self) -> None:
        # The entries would do it by themselves, and tell nobody.
        self._expired += len(self._entries.expire())

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last under this name."""
        return self._judges.get(name)

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""
        entries = self._entries
        with entries.timer:  # one look at the clock for all of them
            return [entries[key] for key in keys]

    def still(
        self,
        keys: Sequence[bytes],
        entries: Sequence[Entry],
        *,
        name: bytes,
        judge: Judge,
    ) -> bool:
        """Tell whether nothing was forgotten or replaced since.

        Args:
            keys: What was asked for.
            entries: What was given, the very objects.
            name: Of who judged.
            judge: Who judged.

        """
        if self._judges.get(name) != judge:
            return False
        known = self._entries
        with known.timer:
            return all(map(is_, map(known.__getitem__, keys), entries))

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Remember, at the cost of what was not used for the longest time."""
        self._judges[name] = judge
        if self._entries.maxsize < BYTES_PER_ENTRY:
            return
        with self._entries.timer:
            self._expire()
            self._entries.update(entries)
