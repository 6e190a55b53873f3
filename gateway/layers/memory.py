"""Remember scores in this process, bounded by bytes; and what any memory of scores is."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from random import Random
from typing import NamedTuple, Protocol

from gateway.ranking.normalize import Scale

# As measured: the key, the entry with its numbers, and what the dict keeps of each. A test
# compares it with what the allocator says.
BYTES_PER_ENTRY = 500

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


class ProcessMemory:
    """Remembers in this process, and forgets what was not used for the longest time.

    One for all backends, whose names are part of the keys: the busiest one gets the most
    of it. Nothing here waits.

    An ordered dict, oldest use first: `cachetools.TLRUCache`, with its heap of times, takes
    six times as long to remember the hundred scores of a call, as long as all else that
    gRPC does for it. What is past its time is never given; it makes room when it is asked
    for, or when it is the one that was not used for the longest time.

    Args:
        max_bytes: How much memory the entries may take; 0 remembers nothing.
        chance: Decides how much earlier than its time each entry is forgotten.

    """

    def __init__(self, *, max_bytes: int, chance: Random) -> None:
        self._most = max_bytes // BYTES_PER_ENTRY
        self._chance = chance
        self._expired = 0
        self._displaced = 0
        self._judges: dict[bytes, Judge] = {}
        self._known: OrderedDict[bytes, tuple[float, Entry]] = OrderedDict()
        """By key: when it is forgotten, and what."""

    @property
    def used_bytes(self) -> int:
        """How much of the bound is used."""
        return self.entries * BYTES_PER_ENTRY

    @property
    def entries(self) -> int:
        """How many scores it remembers."""
        self._expire()
        return len(self._known)

    @property
    def expired(self) -> int:
        """How many it has forgotten because their time was over."""
        self._expire()
        return self._expired

    @property
    def displaced(self) -> int:
        """How many it has forgotten for want of room."""
        return self._displaced

    def _expire(self) -> None:
        """Forget those that are past their time, until the oldest one is not."""
        known, now = self._known, _now()
        while known:
            key = next(iter(known))
            if known[key][0] > now:
                return
            del known[key]
            self._expired += 1

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last under this name."""
        return self._judges.get(name)

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""
        known, now = self._known, _now()
        used = known.move_to_end
        found: list[Entry | None] = []
        for key in keys:
            until, entry = known.get(key, _NOTHING)
            if entry is None:
                found.append(None)
            elif until > now:
                used(key)
                found.append(entry)
            else:
                del known[key]
                self._expired += 1
                found.append(None)
        return found

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
        known, now = self._known, _now()
        for key, entry in zip(keys, entries, strict=True):
            until, remembered = known.get(key, _NOTHING)
            if remembered is not entry or until <= now:
                return False
        for key in keys:
            known.move_to_end(key)
        return True

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Remember, at the cost of what was not used for the longest time."""
        self._judges[name] = judge
        known, now = self._known, _now()
        for key, entry in entries.items():
            until = entry.stored_at + soon_forgotten_s(entry.ttl_s, self._chance)
            # Last, also where it was known: it was used just now.
            known.pop(key, None)
            if until > now:
                known[key] = until, entry
        self._expire()
        while len(known) > self._most:
            known.popitem(last=False)
            self._displaced += 1


_NOTHING: tuple[float, None] = (0.0, None)


def _now() -> float:
    return asyncio.get_running_loop().time()
