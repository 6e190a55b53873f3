"""Ask for all parts of a request or for none, where its caller cannot pay for all."""

from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores
from gateway.layers.chunk import split
from gateway.tenants.metering import Meter


class Prepaid:
    """Keeps back what all chunks of a request will cost, before the first one is asked.

    Otherwise the first chunks would be paid for, and the last one refused for want of
    means. A request that fits one call needs none of this.

    Args:
        scorer: Asks in chunks.
        facts: How many documents go into one.
        meter: Of the backend.

    """

    def __init__(self, scorer: Scorer, *, facts: Facts, meter: Meter) -> None:
        self._scorer = scorer
        self._facts = facts
        self._meter = meter

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, or raise `QuotaExceeded` without having asked for any part."""
        if len(request.documents) <= self._facts.max_documents:
            return await self._scorer.score(request)
        chunks = split(request, self._facts.max_documents)
        async with self._meter.prepaid(request, [each.documents for each in chunks]):
            return await self._scorer.score(request)
