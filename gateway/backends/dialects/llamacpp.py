"""llama.cpp's server, started with `--reranking`.

Recorded from a real one (0c1e570): the score is what the model's head gives, a logit for
BERT and XLM-R heads and a probability for Qwen3, so its scale must be configured. The
key `texts` would turn its answer into another shape, so it is never sent.
"""

import re

from gateway.backends import reading
from gateway.backends.billing import TOKENS
from gateway.backends.dialect import Call, Decoded, Dialect, Refusal
from gateway.backends.errors import BackendError, Excess, TooLarge, Unavailable
from gateway.backends.reading import Json

# A sequence that failed keeps this sentinel; no head gives such a logit.
_FAILED_BELOW = -1e5

_TOO_LONG = re.compile(r"input \((\d{1,9}) tokens\) is (?:too large|larger than)")
_BATCH = re.compile(r"current batch size: (\d{1,9})")


def encode(call: Call) -> Json:
    """Ask for every document: 0 would mean none, a negative number crashes it."""
    body = {
        "query": call.query,
        "documents": call.texts,
        "top_n": len(call.texts),
    }
    return {"model": call.model, **body} if call.model else body


def decode(payload: Json, count: int) -> Decoded:
    """Read `{"model", "results": [{"index", "relevance_score"}], "usage"}`."""
    answer = reading.mapping(payload, "the answer")
    raw = reading.by_index(
        answer.get("results"), score_key="relevance_score", count=count
    )
    return Decoded(
        raw=tuple(None if score < _FAILED_BELOW else score for score in raw),
        # Without a name it reports the path of its file: no business of callers.
        model=_file_name(reading.text(answer.get("model"))),
        usage=reading.usage(tokens=reading.member(answer, "usage", "total_tokens")),
    )


def refusal(answer: Refusal) -> BackendError | None:
    """Find the over-long pair behind a 500, and tell loading from broken."""
    error = reading.member(answer.payload, "error")
    kind = reading.text(reading.member(error, "type"))
    words = reading.text(reading.member(error, "message"))
    if too_long := _TOO_LONG.search(words):
        batch = _BATCH.search(words)
        context = reading.member(error, "n_ctx")
        limit = int(batch[1]) if batch else context
        return TooLarge(
            answer.backend,
            Excess.TOKENS,
            given=int(too_long[1]),
            limit=limit if isinstance(limit, int) else None,
        )
    # Builds of early 2025 say it without the numbers.
    if kind == "exceed_context_size_error" or "too large to process" in words:
        return TooLarge(answer.backend, Excess.TOKENS)
    if kind == "unavailable_error":
        return Unavailable(answer.backend, "it is loading its model", loading=True)
    return None


def _file_name(model: str) -> str:
    return model.rsplit("/", 1)[-1] if model.startswith("/") else model


DIALECT = Dialect(
    path="/v1/rerank",
    encode=encode,
    decode=decode,
    refusal=refusal,
    scale=None,
    max_documents=1000,
    max_tokens=512,  # its default physical batch holds one whole pair
    # Four slots by default; what comes on top waits there without any bound, and
    # goes on being computed after its caller has left.
    max_in_flight=4,
    billing=TOKENS,
)
