"""One scorer for every vendor that speaks HTTP and JSON.

It posts what the dialect encodes and turns everything that can go wrong on the way
into a `BackendError`. No number leaves it that the dialect did not read.
"""

from collections.abc import Mapping

import orjson

from gateway.backends.dialect import Call, Decoded, Dialect
from gateway.backends.facts import LONGEST_NAME, Facts
from gateway.backends.plausible import plausible
from gateway.backends.posting import (
    UNWATCHED,
    Poster,
    Wire,
    in_a_thread_if,
    translated,
)
from gateway.backends.scorer import ScoreRequest, Scores
from gateway.backends.transport import Transport
from gateway.ranking.normalize import Scale

# JSON of this size costs the event loop about a millisecond; beyond, a thread does it.
_IN_A_THREAD_BYTES = 512 * 1024

# Some vendors echo every document, escaped: a letter of two bytes, as in Cyrillic, has
# six then.
_ANSWER_BASE_BYTES = 1024 * 1024
_ANSWER_PER_REQUEST_BYTE = 3


class HttpScorer:
    """A backend behind HTTP.

    Args:
        name: The backend's configured name.
        dialect: How its vendor spells a call.
        url: The full rerank endpoint.
        headers: Sent with every call; may hold the key, and is never shown.
        transport: The sockets; the caller closes it.
        scale: What the model's numbers are.
        facts: What is known about the backend; its model is sent and reported.
        model: The model to ask for; empty leaves the choice to the backend.
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
        scale: Scale,
        facts: Facts,
        model: str,
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
        self._scale = scale
        self._facts = facts
        self._model = model

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge every document of the request in one call."""
        texts = [document.text for document in request.documents]
        size = len(request.query) + sum(map(len, texts))
        payload = await in_a_thread_if(
            size > _IN_A_THREAD_BYTES, self._encode, request, texts
        )
        answer = await self._poster.post(
            payload,
            max_answer_bytes=_ANSWER_BASE_BYTES
            + _ANSWER_PER_REQUEST_BYTE * len(payload),
        )
        decoded = await in_a_thread_if(
            len(answer.body) > _IN_A_THREAD_BYTES,
            self._decode,
            answer.body,
            len(request.documents),
        )
        told_cost = self._dialect.usage
        return Scores(
            raw=decoded.raw,
            scale=self._scale,
            backend=self._name,
            model=decoded.model[:LONGEST_NAME] or self._facts.model,
            revision=self._facts.revision,
            usage=told_cost(answer.headers) if told_cost else decoded.usage,
        )

    def _encode(self, request: ScoreRequest, texts: list[str]) -> bytes:
        call = Call(
            query=request.query,
            texts=texts,
            model=self._model,
            scale=self._scale,
            instruction=request.instruction,
        )
        with translated(self._name):
            return orjson.dumps(self._dialect.encode(call))

    def _decode(self, body: bytes, count: int) -> Decoded:
        with translated(self._name, body):
            decoded = self._dialect.decode(orjson.loads(body), count)
        return plausible(decoded, backend=self._name, scale=self._scale)
