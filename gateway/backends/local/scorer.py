"""The built-in scorer: BM25, a small encoder and the order received, on the CPU."""

import math
from collections.abc import Sequence
from functools import partial
from typing import ClassVar

from gateway.backends.errors import Internal, Unavailable
from gateway.backends.local.blend import blend, blend_brought, blend_evidence, unit
from gateway.backends.local.encoder import Encoder
from gateway.backends.local.features import MAX_CHARACTERS, Features, TextEncoder
from gateway.backends.local.inference import InferenceFailed
from gateway.backends.local.threads import Closed
from gateway.backends.local.workshop import Workshop
from gateway.backends.scorer import Lookup, ScoreRequest, Scores
from gateway.ranking.normalize import Scale


class LocalScorer:
    """Judges documents without any service; a listwise `Scorer`.

    A score is a sum of z-scores over the documents of the request (`blend`): negative
    and positive, 0 on average, comparable within the request only. The rank received
    is one of the judges, so this scorer does not throw away what a retriever knew.

    Documents that were found in a collection are judged by its BM25 and its vectors, and
    nothing is encoded. If the query and every document bring vectors of one dimension,
    these are compared, likewise; otherwise brought vectors are ignored. Instructions are
    ignored. Neither the deadline nor the number of requests is watched: a `Timeout`
    cancels, a `Limit` queues.

    Args:
        name: The configured name of the backend.
        threads: How many documents are encoded at the same time.
        max_cache_bytes: How much memory remembered encodings may take; some 120 KB per
            document. 0 remembers nothing.
        encoder: Where vectors come from.

    """

    model: ClassVar = f"{Encoder.model}+bm25"
    """Who judged, unless the caller brought vectors."""
    model_with_brought_vectors: ClassVar = "brought-vectors+bm25"

    def __init__(
        self, *, name: str, threads: int, max_cache_bytes: int, encoder: TextEncoder
    ) -> None:
        self._name = name
        self._workshop = Workshop(
            encoder=encoder, threads=threads, max_memory_bytes=max_cache_bytes
        )

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge every document.

        All of them get a number, but those that were deleted from their collection while
        it was searched.

        `truncated` are the documents of which the encoder read only the first 160 word
        pieces, or BM25 only the first 32 768 characters.

        Cancellation drops every encoding that has not begun.

        Raises:
            Internal: The encoder failed, or the scorer is closed.
            Unavailable: The collection that the documents were found in is silent.

        """
        try:
            if request.lookup is not None:
                return await self._score_found(request, request.lookup)
            if _brings_vectors(request):
                return await self._score_brought(request)
            return await self._score_texts(request)
        except InferenceFailed as error:
            raise Internal(self._name, f"the encoder failed: {error}") from error
        except Closed as error:
            raise Internal(self._name, "closed while it was needed") from error

    async def _score_found(self, request: ScoreRequest, lookup: Lookup) -> Scores:
        """Judge what was found in a collection by what the collection says of it."""
        evidence = await lookup(_ranks(request))
        if not any(evidence):
            detail = "the collection says nothing of these documents"
            raise Unavailable(self._name, detail)
        known = [place for place, each in enumerate(evidence) if each is not None]
        judged = blend_evidence([each for each in evidence if each is not None])
        raw: list[float | None] = [None] * len(evidence)
        for place, number in zip(known, judged, strict=True):
            raw[place] = number
        model = f"{request.space or 'brought-vectors'}+bm25"
        return self._scores(raw, model=model, truncated=set())

    def close(self) -> None:
        """End the threads; what is asked for from now on fails as `Internal`.

        It waits for encodings that have begun, some 30 ms, and drops the others.
        """
        self._workshop.close()

    async def _score_texts(self, request: ScoreRequest) -> Scores:
        query, documents = await self._features(request, with_encoding=True)
        raw = await self._workshop.run(
            partial(blend, query, documents, ranks=_ranks(request))
        )
        cut = {
            place
            for place, each in enumerate(documents)
            if each.encoding and each.encoding.truncated
        }
        return self._scores(raw, model=self.model, truncated=cut | _over_long(request))

    async def _score_brought(self, request: ScoreRequest) -> Scores:
        query, documents = await self._features(request, with_encoding=False)

        def work() -> list[float]:
            return blend_brought(
                query,
                documents,
                ranks=_ranks(request),
                query_vector=unit(request.query_embedding or ()),
                vectors=[unit(each.embedding or ()) for each in request.documents],
            )

        raw = await self._workshop.run(work)
        return self._scores(
            raw, model=self.model_with_brought_vectors, truncated=_over_long(request)
        )

    async def _features(
        self, request: ScoreRequest, *, with_encoding: bool
    ) -> tuple[Features, list[Features]]:
        texts = [request.query, *(each.text for each in request.documents)]
        query, *documents = await self._workshop.features(
            texts, with_encoding=with_encoding, scope=request.scope
        )
        return query, documents

    def _scores(
        self, raw: Sequence[float | None], *, model: str, truncated: set[int]
    ) -> Scores:
        return Scores(
            raw=tuple(raw),
            scale=Scale.RELATIVE,
            backend=self._name,
            model=model,
            truncated=frozenset(truncated),
        )


def _over_long(request: ScoreRequest) -> set[int]:
    return {
        place
        for place, each in enumerate(request.documents)
        if len(each.text) > MAX_CHARACTERS
    }


def _ranks(request: ScoreRequest) -> list[int]:
    return [each.rank for each in request.documents]


def _brings_vectors(request: ScoreRequest) -> bool:
    """Tell whether everything has a vector, all of one dimension and finite."""
    vectors = (request.query_embedding, *(each.embedding for each in request.documents))
    given = [vector for vector in vectors if vector]
    return (
        len(given) == len(vectors)
        and len({len(vector) for vector in given}) == 1
        # A sum is finite only if every number is, and takes a fifth of the time.
        and all(math.isfinite(sum(vector)) for vector in given)
    )
