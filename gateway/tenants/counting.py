"""Let each tenant make only so many requests in a second and at once, whatever they are."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from gateway.errors import OverQuota, UsedUp
from gateway.events import Emit, TenantRefused
from gateway.identity.caller import caller
from gateway.tenants.tenants import Over, Tenants

# What is lacking by a rounding alone would be waited for without end.
_LEAST_S = 0.001
# So soon who waits notices other limits.
_MOST_S = 1.0

_counted: ContextVar[bool] = ContextVar("counted", default=False)
"""Whether the request that is served here was counted before it came to be reranked."""


class Requests:
    """Counts each request of a tenant once, and says of what there are too many.

    Args:
        tenants: Whose limits are which.
        emit: Told of each refusal.

    """

    def __init__(self, tenants: Tenants, emit: Emit) -> None:
        self._tenants = tenants
        self._emit = emit

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count a request for as long as it is served.

        Raises:
            OverQuota: It is too much.

        """
        if over := self.over():
            self.refused(over)
            raise OverQuota(UsedUp(over.quota, over.limit), retry_after_s=over.again_s)
        with self.counted():
            yield

    @contextmanager
    def reranking(self) -> Iterator[None]:
        """Count a request that is reranked in the end, if it is not too much now."""
        if self.over():
            yield
            return
        with self.counted():
            # Not reset by a token: a generator may be ended in another context.
            _counted.set(True)
            try:
                yield
            finally:
                _counted.set(False)

    async def another(self) -> None:
        """Wait until one more may follow in a call that was counted before."""
        tenant = caller.get().tenant
        while over := self._tenants.over(tenant, running=False, now=_now()):  # noqa: ASYNC110 - it is known when there will be more
            await asyncio.sleep(min(max(over.again_s, _LEAST_S), _MOST_S))
        self._tenants.begin(tenant, running=False, now=_now())

    def over(self, *, documents: int = 0) -> Over | None:
        """Tell of what the caller's next request would be too much; None: of nothing."""
        requests = 0 if _counted.get() else 1
        return self._tenants.over(
            caller.get().tenant,
            requests=requests,
            documents=documents,
            running=bool(requests),
            now=_now(),
        )

    @contextmanager
    def counted(self, *, documents: int = 0) -> Iterator[None]:
        """Count the caller's request, as far as that was not done before."""
        requests = 0 if _counted.get() else 1
        begun = self._tenants.begin(
            caller.get().tenant,
            requests=requests,
            documents=documents,
            running=bool(requests),
            now=_now(),
        )
        try:
            yield
        finally:
            self._tenants.end(begun)

    def refused(self, over: Over) -> None:
        """Tell of a refusal."""
        shown = self._tenants.shown(caller.get().tenant)
        self._emit(TenantRefused(shown, over.quota))


def _now() -> float:
    return asyncio.get_running_loop().time()
