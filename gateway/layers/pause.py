"""Leave alone what failed several times in a row, for longer and longer."""

_FAILURES = 3
_FIRST_S = 1.0
_LONGEST_S = 30.0


class Pause:
    """Tells whether something may be asked.

    After three failures in a row not for one second; each further failure doubles the
    pause, up to half a minute. A success ends it and forgets the failures.

    It is no `Circuit`: what it guards is asked in passing, and nobody waits for it.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._until: float | None = None
        self._next_s = _FIRST_S

    def over(self, now: float) -> bool:
        """Tell whether there is no pause at this time."""
        return self._until is None or now >= self._until

    def succeeded(self) -> None:
        """Take note that it works."""
        self._failures = 0
        self._until = None
        self._next_s = _FIRST_S

    def failed(self, now: float) -> None:
        """Take note of a failure; one of a call from before the pause does not count."""
        if not self.over(now):
            return
        self._failures += 1
        if self._failures >= _FAILURES:
            self._until = now + self._next_s
            self._next_s = min(2 * self._next_s, _LONGEST_S)
