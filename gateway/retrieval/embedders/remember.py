"""Remember the vectors of queries, which come again and again."""

import asyncio
import hashlib
import secrets
from collections.abc import Sequence

import numpy as np
from cachetools import TTLCache
from numpy.typing import NDArray

from gateway.identity.caller import caller
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose, refuse_blank

# A dict entry, a link of the order, an expiry time and an array's header.
_BYTES_PER_ENTRY = 600


class Remember:
    """Asks only for the queries that it does not know.

    Documents pass: each is embedded once, and would only push queries out. Failures
    are not remembered. What one model said is never served as another's: once an answer
    names another model, what the last one said is not found any more.

    What is remembered costs nothing: `usage` is that of the fresh vectors.

    Args:
        embedder: Asked for what is not known.
        max_bytes: How much memory the vectors may take; 0 remembers nothing.
        ttl_s: How long a vector is remembered. A backend that changes its model without
            a word is believed for so long at most.

    """

    def __init__(self, embedder: Embedder, *, max_bytes: int, ttl_s: float) -> None:
        self._embedder = embedder
        # A key of its own: nobody can prepare two queries that pass for each other,
        # nor recognise one in a dump of the memory by its hash.
        self._key = secrets.token_bytes(16)
        self._model = ""
        self._vectors: TTLCache[bytes, NDArray[np.float32]] = TTLCache(
            maxsize=max_bytes,
            ttl=ttl_s,
            timer=lambda: asyncio.get_running_loop().time(),
            getsizeof=_size_bytes,
        )

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Give the vectors of queries, asking only for those that are not known."""
        refuse_blank(texts)
        if purpose is not Purpose.QUERY:
            return await self._embedder.embed(texts, purpose=purpose, deadline=deadline)
        model = self._model
        known = {
            text: vector
            for text in texts
            if (vector := self._vectors.get(self._name(model, text))) is not None
        }
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if not missing:
            rows = [known[text] for text in texts]
            return Embeddings(vectors=np.stack(rows), model=model)
        fresh = await self._embedder.embed(missing, purpose=purpose, deadline=deadline)
        self._put(missing, fresh)
        if not known:
            return _in_order(texts, missing, fresh)
        if fresh.model == model and fresh.dimension == _dimension(known):
            known |= zip(missing, fresh.vectors, strict=True)
            rows = [known[text] for text in texts]
            return Embeddings(vectors=np.stack(rows), model=model, usage=fresh.usage)
        # Another model answers by now: vectors of two cannot stand in one answer.
        every = list(dict.fromkeys(texts))
        again = await self._embedder.embed(every, purpose=purpose, deadline=deadline)
        self._put(every, again)
        both = Embeddings(again.vectors, again.model, fresh.usage + again.usage)
        return _in_order(texts, every, both)

    def _put(self, texts: Sequence[str], fresh: Embeddings) -> None:
        self._model = fresh.model
        for text, vector in zip(texts, fresh.vectors, strict=True):
            if _size_bytes(vector) <= self._vectors.maxsize:
                # A copy, or one row would keep the whole answer.
                self._vectors[self._name(fresh.model, text)] = vector.copy()

    def _name(self, model: str, text: str) -> bytes:
        """Give the 128 bits under which a query is remembered, by each tenant for itself.

        How soon a vector is there would tell one that another asked the same.
        """
        said = model.encode("utf-8", "surrogatepass")
        whose = caller.get().tenant.encode()
        content = text.encode("utf-8", "surrogatepass")
        # Lengths first, or ("ab", "c") and ("a", "bc") would share a name.
        lengths = len(said).to_bytes(4, "big") + len(whose).to_bytes(4, "big")
        joined = lengths + said + whose + content
        return hashlib.blake2b(joined, digest_size=16, key=self._key).digest()


def _in_order(
    texts: Sequence[str], distinct: Sequence[str], found: Embeddings
) -> Embeddings:
    """Give every text, repeated ones too, the vector of its equal."""
    places = {text: place for place, text in enumerate(distinct)}
    rows = found.vectors[[places[text] for text in texts]]
    return Embeddings(vectors=rows, model=found.model, usage=found.usage)


def _dimension(known: dict[str, NDArray[np.float32]]) -> int:
    return len(next(iter(known.values())))


def _size_bytes(vector: NDArray[np.float32]) -> int:
    return _BYTES_PER_ENTRY + vector.nbytes
