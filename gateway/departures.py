"""Plan when calls give up waiting, so that not all of them leave at the same moment.

Calls that arrive together run out of time together, and their answers then wait for each
other on the event loop: of 200 calls with a deadline of one second each, up to 139
missed it with a fixed reserve of 5 %.
"""

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

# What writing an answer takes, measured on one core.
_ANSWER_S = 0.0005
_ANSWER_PER_DOCUMENT_S = 0.000_005

_SLOT_S = 0.01
# How much of a slot may be booked: the rest is for calls that come and go meanwhile, and
# for machines that are slower or have other things to do.
_BOOKED_SHARE = 0.3


class Departures:
    """A timetable of slots, each with room for so many answers.

    No clock: points in time come as arguments, in event-loop seconds.
    """

    def __init__(self) -> None:
        self._booked_s: defaultdict[int, float] = defaultdict(float)

    @contextmanager
    def booked(
        self, *, latest: float, earliest: float, documents: int
    ) -> Iterator[float]:
        """Book the last departure that has room, until the block ends.

        Args:
            latest: When the call must give up at the latest.
            earliest: It gives up no sooner than this, room or not.
            documents: How many its answer will have.

        Yields:
            When to give up waiting.

        """
        work_s = _ANSWER_S + documents * _ANSWER_PER_DOCUMENT_S
        last = int(latest / _SLOT_S)
        first = min(int(earliest / _SLOT_S) + 1, last)
        slot = last
        while slot > first and not self._has_room(slot, work_s):
            slot -= 1
        self._booked_s[slot] += work_s
        try:
            yield latest if slot == last else (slot + 0.5) * _SLOT_S
        finally:
            self._booked_s[slot] -= work_s
            if self._booked_s[slot] < _ANSWER_S / 2:  # only rounding is left
                del self._booked_s[slot]

    def _has_room(self, slot: int, work_s: float) -> bool:
        booked_s = self._booked_s.get(slot, 0.0)
        # A large answer may have a slot to itself.
        return not booked_s or booked_s + work_s <= _SLOT_S * _BOOKED_SHARE
