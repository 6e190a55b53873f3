"""Who is next, of calls that wait for one backend: fair between callers, no clock and no tasks."""

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Pushed(Generic[W]):
    """What became of a call that wants to wait."""

    waits: bool
    displaced: W | None
    """Whose place it took."""


class FairQueue(Generic[W]):
    """One queue per caller, each first come first served, and together bounded.

    The turn is of the caller who has the fewest calls running; of those with equally
    many, of the one whose last turn is longest ago. So a caller who brings a thousand
    calls waits for himself, and not another one for him.

    Args:
        most: Waiting calls of all callers together.

    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._queues: dict[str, OrderedDict[W, None]] = {}
        """By caller, none empty."""
        self._running: Counter[str] = Counter()
        self._turns = 0
        self._last_turn: dict[str, int] = {}
        """Which turn it was; of callers who have calls here."""
        self._waiting = 0

    def __len__(self) -> int:
        """Count those who wait."""
        return self._waiting

    @property
    def running(self) -> int:
        """Count those who have a turn."""
        return self._running.total()

    def running_of(self, caller: str) -> int:
        """Count a caller's calls that have a turn."""
        return self._running[caller]

    @property
    def next(self) -> str:
        """Name the caller whose turn it is, of those who wait; there must be one."""
        return min(
            self._queues,
            key=lambda each: (self._running[each], self._last_turn.get(each, 0)),
        )

    def begin(self, caller: str) -> None:
        """Note that a call of this caller runs."""
        self._running[caller] += 1
        self._turns += 1
        self._last_turn[caller] = self._turns

    def end(self, caller: str) -> None:
        """Note that one runs no more."""
        self._running[caller] -= 1
        if not self._running[caller]:
            del self._running[caller]
            self._forget(caller)

    def ahead_of(self, caller: str) -> int:
        """Count the calls that have their turn before a new one of this caller.

        As far as it is known now: a caller who comes later with less comes first.
        """
        own = len(self._queues.get(caller, ()))
        return own + sum(
            min(len(queue), own + 1)
            for other, queue in self._queues.items()
            if other != caller
        )

    def push(self, caller: str, call: W) -> Pushed[W]:
        """Let a call wait, if need be in the place of a greedier caller's newest one.

        Where the queue is full, the longest of them gives way: with the new call in it,
        its own caller's may be the longest.
        """
        displaced = None
        if self._waiting >= self._most:
            greediest, longest = "", 0
            for other, queue in self._queues.items():
                if len(queue) > longest:
                    greediest, longest = other, len(queue)
            if longest <= len(self._queues.get(caller, ())) + 1:
                return Pushed(waits=False, displaced=None)
            displaced = next(reversed(self._queues[greediest]))
            self.discard(greediest, displaced)
        self._queues.setdefault(caller, OrderedDict())[call] = None
        self._waiting += 1
        return Pushed(waits=True, displaced=displaced)

    def pop(self) -> W:
        """Take the call whose turn it is; there must be one."""
        caller = self.next
        call = next(iter(self._queues[caller]))
        self.discard(caller, call)
        return call

    def discard(self, caller: str, call: W) -> None:
        """Let a call wait no more; one that does not is not missed."""
        queue = self._queues.get(caller)
        if queue is None or call not in queue:
            return
        del queue[call]
        self._waiting -= 1
        if not queue:
            del self._queues[caller]
            self._forget(caller)

    def _forget(self, caller: str) -> None:
        """Forget a caller who has nothing here any more: there is no end of them."""
        if caller not in self._queues and caller not in self._running:
            self._last_turn.pop(caller, None)
