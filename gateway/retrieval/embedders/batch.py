"""Split a list of texts that is longer than its backend takes, and join the answers."""

from collections.abc import Sequence

import numpy as np

from gateway.backends.errors import Excess, Malformed, TooLarge
from gateway.backends.facts import Facts
from gateway.backends.scorer import Usage
from gateway.concurrency import all_of
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose, refuse_blank


class Batch:
    """Asks in batches, a few at once, and keeps the order.

    One batch that fails fails the whole, and the others are cancelled. A batch that is
    still too large is halved, down to one text.

    Args:
        embedder: Asked once per batch.
        backend: Its name, for errors.
        facts: How many texts go into one (`max_documents`); learns where the backend
            names a bound.
        in_flight: Batches of one list at once.

    """

    def __init__(
        self, embedder: Embedder, *, backend: str, facts: Facts, in_flight: int
    ) -> None:
        self._embedder = embedder
        self._backend = backend
        self._facts = facts
        self._in_flight = in_flight

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Embed all texts, in as many calls as it takes."""
        refuse_blank(texts)
        batches = split(texts, self._facts.max_documents)
        if len(batches) == 1:
            return await self._part(texts, purpose, deadline)
        todo = iter(enumerate(batches))
        parts: dict[int, Embeddings] = {}

        async def work() -> None:
            # Between two awaits, so no two workers take the same batch.
            for place, batch in todo:
                parts[place] = await self._part(batch, purpose, deadline)

        await all_of(*(work() for _ in batches[: self._in_flight]))
        return self._joined([parts[place] for place in range(len(batches))])

    async def _part(
        self, texts: Sequence[str], purpose: Purpose, deadline: float
    ) -> Embeddings:
        try:
            return await self._embedder.embed(texts, purpose=purpose, deadline=deadline)
        except TooLarge as error:
            count = len(texts)
            if error.excess is Excess.TOKENS or count == 1:
                raise
            if error.excess is Excess.DOCUMENTS and error.limit:
                self._facts.learn_max_documents(error.limit)
            halved = (count + 1) // 2
            smaller = min(self._facts.max_documents or halved, halved)
            # One after the other: a backend that refuses every size is asked a few
            # times more, not twice as often with every halving.
            return self._joined(
                [
                    await self._part(each, purpose, deadline)
                    for each in split(texts, smaller)
                ]
            )

    def _joined(self, parts: list[Embeddings]) -> Embeddings:
        first = parts[0]
        for part in parts:
            if part.model != first.model:
                detail = "its answers to the parts of one call name different models"
                raise Malformed(self._backend, detail)
            if part.dimension != first.dimension:
                detail = f"vectors of {first.dimension} and of {part.dimension} numbers"
                raise Malformed(self._backend, detail)
        return Embeddings(
            vectors=np.concatenate([part.vectors for part in parts]),
            model=first.model,
            usage=sum((part.usage for part in parts), Usage()),
        )


def split(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Cut a list into pieces of at most `size`; 0: one piece."""
    if not size or len(texts) <= size:
        return [texts]
    return [texts[start : start + size] for start in range(0, len(texts), size)]
