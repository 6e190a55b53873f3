"""Remember scores in this process so that no tenant's scores push out those of another."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

from gateway.identity.caller import caller
from gateway.layers.memory import Entry
from gateway.layers.process_memory import BYTES_PER_ENTRY, ProcessMemory, Shelf
from gateway.parts import gives_way

# As measured, beside the entry: whose it is, its place among theirs, and that it was used.
BYTES_PER_OWNED = 270


def tenant_memory(*, max_bytes: int) -> ProcessMemory:
    """Make a memory whose shelves are shared out among tenants."""
    return ProcessMemory(
        max_bytes=max_bytes,
        shelf=TenantShelf,
        entry_bytes=BYTES_PER_ENTRY + BYTES_PER_OWNED,
    )


class TenantShelf(Shelf):
    """A shelf of which every tenant has a part, as long as it has use for it.

    A part is the whole divided by the tenants that have anything here. There is no need to
    keep to it while there is room. Where there is none, a tenant that holds more than its
    part gives way to itself, and otherwise whoever holds the most gives way. So a tenant
    that holds no more than its part loses nothing to others, however much they bring.

    Who put a score last, owns it; anybody may be given it. Of one tenant's scores those are
    forgotten first that were put first, but for those that were used since.

    Args:
        most: How many entries it has room for.

    """

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._owners: dict[bytes, str] = {}
        self._held: dict[str, OrderedDict[bytes, None]] = {}
        """By tenant, none empty: its keys, those that were put first in front."""
        self._used: set[bytes] = set()
        """Keys that were asked for since they were put, or spared."""

    def held_by(self, tenant: str) -> int:
        """Count a tenant's scores."""
        return len(self._held.get(tenant, ()))

    def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""
        found = super().get(keys)
        for key, entry in zip(keys, found, strict=True):
            if entry:
                self._used.add(key)
            elif key in self._owners:  # it was past its time
                self._disown(key)
        return found

    def still(
        self, keys: Sequence[bytes], entries: Sequence[Entry]
    ) -> Callable[[], bool]:
        """Give what tells, and counts as use, that these very objects lie here."""
        lie_there = super().still(keys, entries)

        def still() -> bool:
            if not lie_there():
                return False
            self._used.update(keys)
            return True

        return still

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Remember, at the cost of whoever holds too much."""
        self._expire()
        for key in entries:
            self._disown(key)
        tenant = caller.get().tenant
        fresh = sum(key not in self._known for key in entries)
        self._make_room(tenant, fresh=fresh, more=len(entries))
        before = self.displaced
        super().put(entries)
        if self.displaced > before:  # more at once than there is room for
            for key in [each for each in self._owners if each not in self._known]:
                self._disown(key)
        held = self._held.setdefault(tenant, OrderedDict())
        for key in entries:
            if key in self._known:
                self._owners[key] = tenant
                held[key] = None
        if not held:
            del self._held[tenant]

    def _make_room(self, tenant: str, *, fresh: int, more: int) -> None:
        """Forget until so many fresh ones fit, of which a tenant will hold so many more."""
        lacking = len(self._known) + fresh - self._most
        while lacking > 0 and self._held:
            held = {each: len(keys) for each, keys in self._held.items()}
            loser, excess = gives_way(held, bringing=tenant, more=more, most=self._most)
            # All that is too much of one at once: to look for it takes a while.
            count = min(lacking, max(excess, 1), self.held_by(loser))
            for _ in range(count):
                self._displace_one_of(loser)
            lacking -= count

    def _displace_one_of(self, tenant: str) -> None:
        held = self._held[tenant]
        key = next(iter(held))
        while key in self._used:
            self._used.discard(key)
            held.move_to_end(key)
            key = next(iter(held))
        del self._known[key]
        self.displaced += 1
        self._disown(key)

    def _expire(self) -> None:
        """Forget those that are past their time, until the oldest one is not."""
        known, now = self._known, asyncio.get_running_loop().time()
        while known:
            key = next(iter(known))
            if known[key].until > now:
                return
            del known[key]
            self._disown(key)
            self._expired += 1

    def _disown(self, key: bytes) -> None:
        tenant = self._owners.pop(key, None)
        if tenant is None:
            return
        held = self._held[tenant]
        del held[key]
        if not held:
            del self._held[tenant]
        self._used.discard(key)
