"""Whether a call may be served at all, as those see it who would serve it."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol


class Admitting(Protocol):
    """Bounds how much its caller asks in a second, and at once."""

    def one(self) -> AbstractContextManager[None]:
        """Count a request for as long as it is served.

        Raises:
            OverQuota: It is too much.

        """

    def reranking(self) -> AbstractContextManager[None]:
        """Count a request that goes on to be reranked, so that it is not counted there again.

        Where it is too much now nothing is counted, and who reranks says so: the caller is
        answered all the same.
        """

    async def another(self) -> None:
        """Wait until one more may follow in a call that was counted before."""


class _Everybody:
    """Admits all there is."""

    @contextmanager
    def one(self) -> Iterator[None]:
        yield

    def reranking(self) -> AbstractContextManager[None]:
        return self.one()

    async def another(self) -> None:
        pass


EVERYBODY: Final[Admitting] = _Everybody()
"""Where there are no tenants."""
