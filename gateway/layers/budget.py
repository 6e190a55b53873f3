"""How many calls beyond the ordinary ones a backend may be sent."""


class Budget:
    """Tokens for retries and hedges, earned by ordinary calls.

    One for each backend, shared by everything that asks it more than once: on top of a
    few tokens to begin with, at most `share` of the ordinary calls are made again. A
    call that gets no token is not a failed call: it is just not made again.

    Args:
        share: What each ordinary call earns, in tokens; 0.1: one in ten is made again.
        initial: Tokens at the start, so that a quiet backend is retried too.
        most: Tokens that are kept; what an hour without trouble earned is not to be
            spent on one bad minute.

    """

    def __init__(self, *, share: float, initial: float, most: float) -> None:
        self._share = share
        self._most = most
        self._tokens = min(initial, most)

    def earn(self) -> None:
        """Note one ordinary call."""
        self._tokens = min(self._tokens + self._share, self._most)

    def take(self) -> bool:
        """Take the token for one more call, if there is one."""
        # Ten times a tenth is a little less than one.
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens = max(self._tokens - 1, 0.0)
        return True
