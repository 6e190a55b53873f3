"""Remember scores in this process, bounded by bytes; and what any memory of scores is."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import repeat
from operator import is_
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from gateway.backends.scorer import Scores
from gateway.ranking.normalize import Scale
from gateway.rows import rows

T = TypeVar("T")

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

    @property
    def until(self) -> float:
        """When its time is over."""
        return self.stored_at + self.ttl_s


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
    """Shorten a time by up to a tenth: answers that came together do not leave together.

    Never lengthen it, since a caller is promised nothing older.
    """
    return ttl_s * (1.0 - _SPREAD * chance.random())


def entries_of(
    keys: Sequence[bytes], scores: Scores, *, now: float, ttl_s: float
) -> dict[bytes, Entry]:
    """Give what is to be remembered of an answer.

    Args:
        keys: One per document.
        scores: The answer; a document without a score is left out.
        now: When it came, in event-loop seconds.
        ttl_s: How long it may be remembered.

    """
    # What another tier remembered does not become younger by being told.
    told_at = now - scores.oldest_s
    entries = rows(
        Entry,
        scores.raw,
        repeat(scores.scale),
        _each(scores.truncated, len(keys), those=True, others=False),
        _each(scores.cached, len(keys), those=told_at, others=now),
        repeat(ttl_s),
    )
    named = dict(zip(keys, entries, strict=True))
    if None in scores.raw:
        return {key: each for key, each in named.items() if each.raw is not None}
    return named


def _each(places: frozenset[int], count: int, *, those: T, others: T) -> Iterable[T]:
    """Say one thing of some places and another of all others."""
    if not places:
        return repeat(others, count)
    return [those if place in places else others for place in range(count)]


class ProcessMemory:
    """Remembers in this process, and forgets what was not used for the longest time.

    One for all backends, whose names are part of the keys: the busiest one gets the most
    of it. Nothing here waits.

    An ordered dict, oldest use first: `cachetools.TLRUCache`, with its heap of times, takes
    six times as long to remember the hundred scores of a call, as long as all else that
    gRPC does for it. What is past its time is never given; it makes room when it is asked
    for, or when it is the one that was not used for the longest time.

    The hundred scores of a call go through `map` and its like wherever nothing special is
    to be done: one by one they take three times as long.

    Args:
        max_bytes: How much memory the entries may take; 0 remembers nothing.

    """

    def __init__(self, *, max_bytes: int) -> None:
        self._most = max_bytes // BYTES_PER_ENTRY
        self._expired = 0
        self._displaced = 0
        self._judges: dict[bytes, Judge] = {}
        self._known: OrderedDict[bytes, Entry] = OrderedDict()

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
            if known[key].until > now:
                return
            del known[key]
            self._expired += 1

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last under this name."""
        return self._judges.get(name)

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""
        known, now = self._known, _now()
        found = list(map(known.get, keys))
        if not any(found):
            return found
        for place, entry in enumerate(found):
            if entry is None:
                continue
            if entry.stored_at + entry.ttl_s > now:
                known.move_to_end(keys[place])
                continue
            found[place] = None
            # Of equal keys, the first one has removed it.
            if known.pop(keys[place], None):
                self._expired += 1
        return found

    def still(
        self,
        keys: Sequence[bytes],
        entries: Sequence[Entry],
        *,
        name: bytes,
        judge: Judge,
    ) -> Callable[[], bool]:
        """Give what tells, and counts as use, that nothing was forgotten or replaced.

        Args:
            keys: What was asked for.
            entries: What was given, the very objects.
            name: Of who judged.
            judge: Who judged.

        """
        known, judges = self._known, self._judges
        until = min([entry.until for entry in entries])

        def still() -> bool:
            if judges.get(name) != judge or until <= _now():
                return False
            if not all(map(is_, map(known.get, keys), entries)):
                return False
            _do_all(map(known.move_to_end, keys))
            return True

        return still

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Remember, at the cost of what was not used for the longest time."""
        self._judges[name] = judge
        known = self._known
        expected = len(known) + len(entries)
        for key, entry in entries.items():
            known[key] = entry
        if len(known) < expected:
            # What was known keeps its place in the order, and yet was used just now.
            _do_all(map(known.move_to_end, entries))
        self._expire()
        while len(known) > self._most:
            known.popitem(last=False)
            self._displaced += 1


def _do_all(done: Iterable[object]) -> None:
    """Do what an iterator does on its way."""
    deque(done, maxlen=0)


def _now() -> float:
    return asyncio.get_running_loop().time()
