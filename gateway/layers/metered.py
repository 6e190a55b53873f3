"""Ask a backend only for what its caller may still use, and write down what it cost."""

from gateway.backends.errors import BackendError
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.tenants.metering import Meter


class Metered:
    """Keeps back what a call will cost, and replaces it by what the vendor says.

    Every call that a vendor may bill is counted: retries, the calls of both sides of a
    hedge, each chunk. Whoever gave a call up, or lost its answer, may have to pay for it:
    the estimate stands. What was refused, or not asked at all, costs nothing.

    Args:
        scorer: Asked for what can be paid.
        meter: Of its backend.

    """

    def __init__(self, scorer: Scorer, *, meter: Meter) -> None:
        self._scorer = scorer
        self._meter = meter

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, or raise `QuotaExceeded` or `LedgerFailed` without having asked."""
        kept = await self._meter.reserve(request)
        usage: Usage | None = None
        costs = True
        try:
            scores = await self._scorer.score(request)
        except BackendError as error:
            costs = error.may_cost
            raise
        else:
            usage = scores.usage
            return scores
        finally:
            # A cancellation too: the answer may be on its way.
            if costs:
                self._meter.settle(kept, usage)
            else:
                self._meter.release(kept)
