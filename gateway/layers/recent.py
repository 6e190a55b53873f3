"""Who was here lately: a few names, and no clock of its own."""


class Recent:
    """Remembers names for at least `for_s` after they were last seen, at most twice as long.

    Two generations: what the younger one has gathered in its time becomes the older one,
    and what was there before is forgotten.

    Args:
        for_s: How long, in seconds.
        most: How many names a generation takes. Whoever asks for more of them than this
            is told that there are so many.

    """

    def __init__(self, *, for_s: float, most: int) -> None:
        self._for_s = for_s
        self._most = most
        self._young: set[str] = set()
        self._old: set[str] = set()
        self._since = 0.0

    def see(self, name: str, now: float) -> None:
        """Note that somebody is here."""
        self._age(now)
        if len(self._young) < self._most:
            self._young.add(name)

    def count(self, now: float) -> int:
        """Count those who were seen lately; at most `most`."""
        self._age(now)
        return min(len(self._young | self._old), self._most)

    def _age(self, now: float) -> None:
        gone_s = now - self._since
        if gone_s < self._for_s:
            return
        self._old = self._young if gone_s < 2 * self._for_s else set()
        self._young = set()
        self._since = now
