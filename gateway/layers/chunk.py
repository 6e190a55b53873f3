"""Split a request that is larger than its backend takes, and join the answers.

Only for models that judge each document alone: there, splitting changes no score.
"""

from dataclasses import replace
from itertools import chain

from gateway.backends.errors import (
    Attempt,
    BackendError,
    Excess,
    Malformed,
    TooLarge,
)
from gateway.backends.facts import Facts
from gateway.backends.scorer import Scorer, ScoreRequest, Scores, Usage
from gateway.concurrency import all_of


class Chunk:
    """Asks in chunks, all at once.

    One chunk that fails fails the whole, since scores for only some documents would
    bias the order. A chunk that is still too large is halved, down to one document.

    Args:
        scorer: Asked once per chunk.
        facts: How many documents go into one; learns where the backend names a bound.

    """

    def __init__(self, scorer: Scorer, *, facts: Facts) -> None:
        self._scorer = scorer
        self._facts = facts

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge all documents, in as many calls as it takes."""
        attempts: list[Attempt] = []
        try:
            parts = await all_of(
                *(
                    self._part(chunk, attempts)
                    for chunk in _split(request, self._facts.max_documents)
                )
            )
            scores = _joined(parts)
        except BackendError as error:
            # Of all chunks, also of those that had answered.
            error.attempts = tuple(attempts)
            raise
        return replace(scores, attempts=tuple(attempts))

    async def _part(self, request: ScoreRequest, attempts: list[Attempt]) -> Scores:
        try:
            scores = await self._scorer.score(request)
        except TooLarge as error:
            attempts.extend(error.attempts)
            count = len(request.documents)
            if error.excess is Excess.TOKENS or count == 1:
                raise
            if error.excess is Excess.DOCUMENTS and error.limit:
                self._facts.learn_max_documents(error.limit)
            smaller = min(self._facts.max_documents, (count + 1) // 2)
            # One after the other: a backend that refuses every size is asked a few
            # times more, not twice as often with every halving.
            return _joined(
                [await self._part(each, attempts) for each in _split(request, smaller)]
            )
        except BackendError as error:
            attempts.extend(error.attempts)
            raise
        attempts.extend(scores.attempts)
        return scores


def _split(request: ScoreRequest, size: int) -> list[ScoreRequest]:
    documents = request.documents
    if len(documents) <= size:
        return [request]
    return [
        replace(request, documents=documents[start : start + size])
        for start in range(0, len(documents), size)
    ]


def _joined(parts: list[Scores]) -> Scores:
    first = parts[0]
    if any(
        (part.model, part.revision) != (first.model, first.revision) for part in parts
    ):
        detail = "its answers to the parts of one request name different models"
        raise Malformed(first.backend, detail)
    truncated: set[int] = set()
    start = 0
    for part in parts:
        truncated.update(start + place for place in part.truncated)
        start += len(part.raw)
    return Scores(
        raw=tuple(chain.from_iterable(part.raw for part in parts)),
        scale=first.scale,
        backend=first.backend,
        model=first.model,
        revision=first.revision,
        truncated=frozenset(truncated),
        usage=sum((part.usage for part in parts), Usage()),
    )
