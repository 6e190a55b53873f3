"""How long the slower calls to a backend take, lately."""

from bisect import bisect_left, insort
from collections import deque


class Latency:
    """A moving quantile of durations.

    No clock: what is old is what many newer calls came after.

    Args:
        quantile: Which, above 0 and below 1; 0.95: one call in twenty takes longer.
        last: Of how many calls; a few of them, but not one, may be far off.
        enough: With fewer calls than this there is nothing to say.

    """

    def __init__(self, *, quantile: float, last: int, enough: int) -> None:
        self._quantile = quantile
        self._last = last
        self._enough = enough
        self._in_order: deque[float] = deque()
        self._sorted: list[float] = []

    def observe(self, duration_s: float) -> None:
        """Note how long a call took, or how long it took at least."""
        if len(self._in_order) == self._last:
            oldest = self._in_order.popleft()
            del self._sorted[bisect_left(self._sorted, oldest)]
        self._in_order.append(duration_s)
        insort(self._sorted, duration_s)

    def slow_s(self) -> float | None:
        """Tell what only the slower calls exceed; None: not enough of them are known."""
        count = len(self._sorted)
        if count < self._enough:
            return None
        return self._sorted[min(int(self._quantile * count), count - 1)]
