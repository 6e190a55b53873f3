"""The processes that serve together: which of them this one is, and how the others are asked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass


async def _nobody() -> list[bytes]:
    return []


@dataclass(frozen=True, slots=True)
class Siblings:
    """This process among those that share its port."""

    place: int = 0
    """From 0."""
    count: int = 1
    """Of all of them."""
    others_backends: Callable[[], Awaitable[list[bytes]]] = _nobody
    """What each of the others says of its backends, as it goes over the wire. One that
    does not answer in time is left out."""

    def share(self, limit: int) -> int:
        """Give this process's part of a limit: together they have it all, each at least 1.

        Args:
            limit: Of all of them; 0 stays 0.

        """
        part, rest = divmod(limit, self.count)
        return max(part + (self.place < rest), min(limit, 1))


ALONE = Siblings()
"""One process that shares nothing."""
