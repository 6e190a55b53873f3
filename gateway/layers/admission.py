"""Let each tenant ask only so much in a second, and at once."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from gateway.backends.scorer import Payer, Scorer, ScoreRequest, Scores
from gateway.backends.unpaid import QuotaExceeded
from gateway.events import Emit, TenantRefused
from gateway.identity.caller import caller
from gateway.tenants.tenants import Over, Tenants

# No backend was chosen yet.
_NOBODY = ""


class Admission:
    """Refuses what is beyond a tenant's rates, and says of the rest who pays for it.

    A tenant is also who has a fair share of a backend's turns, however many callers it
    names. Answers from memory count as well, since they take our time.

    Args:
        scorer: All backends of a route.
        tenants: Whose limits are which.
        emit: Told of each refusal.

    """

    def __init__(self, scorer: Scorer, *, tenants: Tenants, emit: Emit) -> None:
        self._scorer = scorer
        self._tenants = tenants
        self._emit = emit

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, or raise `QuotaExceeded` at once."""
        tenant, documents = caller.get().tenant, len(request.documents)
        if over := self._over(tenant, documents):
            self._emit(TenantRefused(self._tenants.shown(tenant), over.quota))
            raise QuotaExceeded(
                _NOBODY, over.quota, limit=over.limit, retry_after_s=over.again_s
            )
        begun = self._tenants.begin(tenant, documents=documents, now=_now())
        try:
            scores = await self._scorer.score(
                replace(
                    request,
                    payer=Payer(tenant, request.payer.labels if request.payer else ()),
                    caller=tenant or request.caller,
                )
            )
        finally:
            self._tenants.end(begun)
        if scores.again is None:
            return scores
        return replace(scores, again=self._again(documents, scores.again))

    def _over(self, tenant: str, documents: int) -> Over | None:
        return self._tenants.over(tenant, documents=documents, now=_now())

    def _again(self, documents: int, again: Callable[[], bool]) -> Callable[[], bool]:
        def again_if_admitted() -> bool:
            # Whoever asks now. Where it may not, it is refused by asking as ever.
            tenant = caller.get().tenant
            if self._over(tenant, documents) or not again():
                return False
            begun = self._tenants.begin(tenant, documents=documents, now=_now())
            self._tenants.end(begun)
            return True

        return again_if_admitted


def _now() -> float:
    return asyncio.get_running_loop().time()
