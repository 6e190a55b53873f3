"""A token bucket: so many things a second, and some at once."""


class Bucket:
    """Fills steadily up to its brim, and is emptied by what is let through.

    What is larger than the bucket is let through when the bucket is full, and is then paid
    off: otherwise it never could be.

    Args:
        per_s: How much flows in each second.
        burst: How much it holds.

    """

    def __init__(self, *, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._level = burst
        self._seen_at: float | None = None

    def wait_s(self, amount: float, now: float) -> float:
        """Tell how long it takes until so much is let through; 0: now."""
        lacking = min(amount, self._burst) - self._level_at(now)
        return max(lacking / self._per_s, 0.0)

    def take(self, amount: float, now: float) -> None:
        """Let so much through."""
        self._level = self._level_at(now) - amount
        self._seen_at = now

    def is_full(self, now: float) -> bool:
        """Tell whether it is as if it had never been used."""
        return self._level_at(now) >= self._burst

    def _level_at(self, now: float) -> float:
        if self._seen_at is None:
            return self._level
        # A clock of a loop never goes back; what comes late must not empty it.
        passed_s = max(now - self._seen_at, 0.0)
        return min(self._level + passed_s * self._per_s, self._burst)
