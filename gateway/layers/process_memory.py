"""Remember scores in this process, bounded by bytes."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import is_, itemgetter

from gateway.layers.memory import Entry, Judge

# As measured: the key, the entry with its numbers, and what the dict keeps of each. A test
# compares it with what the allocator says.
BYTES_PER_ENTRY = 500

# A dict that has no room moves all that it knows into another one: of 134 000 entries, the
# default, that takes 10 ms or more, in which nobody is served, and of so many less than 1.
_ENTRIES_PER_SHELF = 4096
_MOST_SHELVES = 256

_first_byte: Callable[[bytes], int] = itemgetter(0)


class ProcessMemory:
    """Remembers in this process, and forgets what was not used for the longest time.

    One for all backends, whose names are part of the keys: the busiest one gets the most
    of it. Nothing here waits.

    It has shelves, each of which takes its part of the entries and forgets for itself. Keys
    that begin with the same byte, as those of one question do, lie on the same.

    Args:
        max_bytes: How much memory the entries may take; 0 remembers nothing.

    """

    def __init__(self, *, max_bytes: int) -> None:
        most = max_bytes // BYTES_PER_ENTRY
        count = min(max(most // _ENTRIES_PER_SHELF, 1), _MOST_SHELVES)
        self._shelves = tuple(
            _Shelf(most * (place + 1) // count - most * place // count)
            for place in range(count)
        )
        self._judges: dict[bytes, Judge] = {}

    @property
    def used_bytes(self) -> int:
        """How much of the bound is used."""
        return self.entries * BYTES_PER_ENTRY

    @property
    def entries(self) -> int:
        """How many scores it remembers."""
        return sum(shelf.entries for shelf in self._shelves)

    @property
    def expired(self) -> int:
        """How many it has forgotten because their time was over."""
        return sum(shelf.expired for shelf in self._shelves)

    @property
    def displaced(self) -> int:
        """How many it has forgotten for want of room."""
        return sum(shelf.displaced for shelf in self._shelves)

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last under this name."""
        return self._judges.get(name)

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""
        if shelf := self._shelf_of_all(keys):
            return shelf.get(keys)
        return [self._shelf(key).get((key,))[0] for key in keys]

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
        judges = self._judges
        until = min([entry.until for entry in entries])
        if shelf := self._shelf_of_all(keys):
            lie_there = shelf.still(keys, entries)
        else:
            each = [
                self._shelf(key).still((key,), (entry,))
                for key, entry in zip(keys, entries, strict=True)
            ]

            def lie_there() -> bool:
                return all(still() for still in each)

        def still() -> bool:
            return judges.get(name) == judge and until > _now() and lie_there()

        return still

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Remember, at the cost of what was not used for the longest time."""
        self._judges[name] = judge
        if shelf := self._shelf_of_all(entries):
            shelf.put(entries)
            return
        for key, entry in entries.items():
            self._shelf(key).put({key: entry})

    def _shelf(self, key: bytes) -> "_Shelf":
        return self._shelves[key[0] % len(self._shelves)]

    def _shelf_of_all(self, keys: Iterable[bytes]) -> "_Shelf | None":
        """Give the one on which all of them lie, if there is one."""
        firsts = set(map(_first_byte, keys))
        if len(firsts) == 1:
            return self._shelves[firsts.pop() % len(self._shelves)]
        return self._shelves[0] if len(self._shelves) == 1 else None


class _Shelf:
    """A part of a memory.

    An ordered dict, oldest use first: `cachetools.TLRUCache`, with its heap of times, takes
    six times as long to remember the hundred scores of a call, as long as all else that
    gRPC does for it. What is past its time is never given; it makes room when it is asked
    for, or when it is the one that was not used for the longest time.

    The hundred scores of a call go through `map` and its like wherever nothing special is
    to be done: one by one they take three times as long.

    Args:
        most: How many entries it has room for.

    """

    def __init__(self, most: int) -> None:
        self.displaced = 0
        self._most = most
        self._expired = 0
        self._known: OrderedDict[bytes, Entry] = OrderedDict()

    @property
    def entries(self) -> int:
        """How many scores lie here."""
        self._expire()
        return len(self._known)

    @property
    def expired(self) -> int:
        """How many were forgotten because their time was over."""
        self._expire()
        return self._expired

    def _expire(self) -> None:
        """Forget those that are past their time, until the oldest one is not."""
        known, now = self._known, _now()
        while known:
            key = next(iter(known))
            if known[key].until > now:
                return
            del known[key]
            self._expired += 1

    def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
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
        self, keys: Sequence[bytes], entries: Sequence[Entry]
    ) -> Callable[[], bool]:
        """Give what tells, and counts as use, that these very objects lie here."""
        known = self._known

        def still() -> bool:
            if not all(map(is_, map(known.get, keys), entries)):
                return False
            _do_all(map(known.move_to_end, keys))
            return True

        return still

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Remember, at the cost of what was not used for the longest time."""
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
            self.displaced += 1


def _do_all(done: Iterable[object]) -> None:
    """Do what an iterator does on its way."""
    deque(done, maxlen=0)


def _now() -> float:
    return asyncio.get_running_loop().time()
