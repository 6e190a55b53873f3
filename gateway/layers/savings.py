"""Write down what memories saved, and what was not asked for."""

from collections.abc import Callable
from dataclasses import replace

from gateway.backends.scorer import Candidate, Payer, Scorer, ScoreRequest, Scores
from gateway.identity.caller import caller
from gateway.tenants.amounts import NOTHING, Amount
from gateway.tenants.metering import Meter


class Savings:
    """Reckons what an answer would have cost without memories and without a depth.

    The difference between asking for all documents, and for those that were asked for:
    fifty of a hundred that are remembered save no search unit, since a call costs one
    either way. Estimates, both of them.

    Args:
        scorer: The whole stack of a backend.
        meter: Of this backend.

    """

    def __init__(self, scorer: Scorer, *, meter: Meter) -> None:
        self._scorer = scorer
        self._meter = meter

    async def score(self, request: ScoreRequest) -> Scores:
        """Ask, and note what was saved."""
        scores = await self._scorer.score(request)
        payer = request.payer
        if payer is None or not (scores.cached or scores.beyond or scores.again):
            return scores
        saved = self._saved(request, scores)
        self._meter.save(payer, saved)
        if scores.again is None:
            return scores
        return replace(scores, again=self._again(payer, saved, scores.again))

    def _saved(self, request: ScoreRequest, scores: Scores) -> Amount:
        asked = len(request.documents) - scores.beyond
        fresh = [
            document
            for place, document in enumerate(request.documents[:asked])
            if place not in scores.cached
        ]
        return self._cost(request.query, request.documents).minus(
            self._cost(request.query, fresh)
        )

    def _cost(
        self, query: str, documents: tuple[Candidate, ...] | list[Candidate]
    ) -> Amount:
        return self._meter.estimate(query, documents) if documents else NOTHING

    def _again(
        self, payer: Payer, saved: Amount, again: Callable[[], bool]
    ) -> Callable[[], bool]:
        def again_and_noted() -> bool:
            if not again():
                return False
            # The same question, by whoever asks it now.
            self._meter.save(replace(payer, tenant=caller.get().tenant), saved)
            return True

        return again_and_noted
