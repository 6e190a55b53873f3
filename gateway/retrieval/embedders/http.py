"""One embedder for every vendor that speaks HTTP and JSON.

It posts what the dialect encodes and turns everything that can go wrong on the way
into a `BackendError`. No vector leaves it that the dialect did not read.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray

from gateway.backends.errors import Malformed
from gateway.backends.facts import LONGEST_NAME, Facts
from gateway.backends.posting import (
    UNWATCHED,
    Poster,
    Wire,
    in_a_thread_if,
    translated,
)
from gateway.backends.transport import Transport
from gateway.retrieval.embedder import Embeddings, Purpose, refuse_blank
from gateway.retrieval.embedders.dialect import Call, Decoded, Dialect
from gateway.retrieval.embedders.vectors import unit_vectors

# Numbers of this size cost the event loop most of a millisecond: three vectors of 1024.
_IN_A_THREAD_BYTES = 64 * 1024

# Some vendors echo every text, escaped: a letter of two bytes has six then.
_ANSWER_BASE_BYTES = 1024 * 1024
_ANSWER_PER_REQUEST_BYTE = 3
# 10 000 numbers of 25 characters: more than any model gives.
_ANSWER_PER_TEXT_BYTES = 256 * 1024


class HttpEmbedder:
    """A model behind HTTP; one call for one list of texts.

    The dimension of the first answer, unless one is configured, is that of all: an
    index holds vectors of one dimension only. So a server that changes its model is
    refused until this process is started anew.

    Neither the deadline nor the number of texts is watched: a `Timeout` cancels, a
    `Batch` splits.

    Args:
        name: What the backend is called in errors.
        dialect: How its vendor spells a call.
        url: The full embeddings endpoint.
        headers: Sent with every call; may hold the key, and is never shown.
        transport: The sockets; the caller closes it.
        facts: What is known about the backend; its model is reported where the answer
            names none.
        model: The model to ask for; empty leaves the choice to the backend.
        dimension: How many numbers a vector must have; None: as the first answer has.
        wire: Watches each call.

    """

    def __init__(
        self,
        *,
        name: str,
        dialect: Dialect,
        url: str,
        headers: Mapping[str, str],
        transport: Transport,
        facts: Facts,
        model: str,
        dimension: int | None,
        wire: Wire = UNWATCHED,
    ) -> None:
        self._name = name
        self._dialect = dialect
        self._poster = Poster(
            backend=name,
            url=url,
            headers=headers,
            transport=transport,
            refusal=dialect.refusal,
            wire=wire,
        )
        self._facts = facts
        self._model = model
        self._dimension = dimension

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        """Ask for all vectors in one call."""
        del deadline  # watched by a Timeout
        refuse_blank(texts)
        payload = await in_a_thread_if(
            sum(map(len, texts)) > _IN_A_THREAD_BYTES, self._encode, texts, purpose
        )
        answer = await self._poster.post(
            payload,
            max_answer_bytes=_ANSWER_BASE_BYTES
            + _ANSWER_PER_REQUEST_BYTE * len(payload)
            + _ANSWER_PER_TEXT_BYTES * len(texts),
        )
        decoded, vectors = await in_a_thread_if(
            len(answer.body) > _IN_A_THREAD_BYTES,
            self._decode,
            answer.body,
            len(texts),
        )
        self._check_dimension(vectors.shape[1])
        told_cost = self._dialect.usage
        return Embeddings(
            vectors=vectors,
            model=decoded.model[:LONGEST_NAME] or self._facts.model,
            usage=told_cost(answer.headers) if told_cost else decoded.usage,
        )

    def _check_dimension(self, found: int) -> None:
        if self._dimension is None:
            self._dimension = found
        if found != self._dimension:
            detail = f"vectors of {found} numbers, where {self._dimension} are expected"
            raise Malformed(self._name, detail)

    def _encode(self, texts: Sequence[str], purpose: Purpose) -> bytes:
        call = Call(texts=list(texts), purpose=purpose, model=self._model)
        with translated(self._name):
            return orjson.dumps(self._dialect.encode(call))

    def _decode(self, body: bytes, count: int) -> tuple[Decoded, NDArray[np.float32]]:
        with translated(self._name, body):
            decoded = self._dialect.decode(orjson.loads(body), count)
            return decoded, unit_vectors(decoded.vectors)
