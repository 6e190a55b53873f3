"""Let each tenant ask only so much in a second, and at once."""

from collections.abc import Callable
from dataclasses import replace

from gateway.backends.scorer import Payer, Scorer, ScoreRequest, Scores
from gateway.backends.unpaid import QuotaExceeded
from gateway.identity.caller import caller
from gateway.tenants.counting import Requests

# No backend was chosen yet.
_NOBODY = ""


class Admission:
    """Refuses what is beyond a tenant's rates, and says of the rest who pays for it.

    A search was counted before it began.

    A tenant is also who has a fair share of a backend's turns, however many callers it
    names. Answers from memory count as well, since they take our time.

    Args:
        scorer: All backends of a route.
        requests: Counts each.

    """

    def __init__(self, scorer: Scorer, *, requests: Requests) -> None:
        self._scorer = scorer
        self._requests = requests

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, or raise `QuotaExceeded` at once."""
        tenant, documents = caller.get().tenant, len(request.documents)
        if over := self._requests.over(documents=documents):
            self._requests.refused(over)
            raise QuotaExceeded(
                _NOBODY, over.quota, limit=over.limit, retry_after_s=over.again_s
            )
        with self._requests.counted(documents=documents):
            scores = await self._scorer.score(
                replace(
                    request,
                    payer=Payer(tenant, request.payer.labels if request.payer else ()),
                    caller=tenant or request.caller,
                )
            )
        if scores.again is None:
            return scores
        return replace(scores, again=self._again(documents, scores.again))

    def _again(self, documents: int, again: Callable[[], bool]) -> Callable[[], bool]:
        def again_if_admitted() -> bool:
            # Whoever asks now. Where it may not, it is refused by asking as ever.
            if self._requests.over(documents=documents) or not again():
                return False
            with self._requests.counted(documents=documents):
                return True

        return again_if_admitted
