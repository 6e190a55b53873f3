"""vLLM's server with a cross-encoder or a reranker.

Read in its source (2026-08): what its numbers are is a property of the model and of the
build, so the scale must be configured. Unknown fields are ignored.
"""

import re

from gateway.backends import reading
from gateway.backends.billing import TOKENS
from gateway.backends.dialect import Call, Decoded, Dialect, Refusal
from gateway.backends.errors import BackendError, Excess, TooLarge
from gateway.backends.reading import Json
from gateway.backends.results import read_results
from gateway.ranking.normalize import Scale

_LIMIT = re.compile(r"maximum context length is (\d{1,9}) tokens")
# Later builds stop counting at the limit, and then say "at least 513": that is no count.
_GIVEN = re.compile(r"requested (\d{1,9}) tokens in the input")


def encode(call: Call) -> Json:
    """Ask for every document, cut at what the model takes."""
    body: dict[str, Json] = {
        "query": call.query,
        "documents": call.texts,
        "top_n": len(call.texts),
        # Without it, one long pair fails them all.
        "truncate_prompt_tokens": -1,
    }
    if call.model:
        body["model"] = call.model
    if call.instruction:
        body["instruction"] = call.instruction
    if call.scale is Scale.LOGIT:
        # Half precision saturates its sigmoid into ties. The second is its older name.
        body |= {"use_activation": False, "activation": False}
    return body


def decode(payload: Json, count: int) -> Decoded:
    """Read its results, each with its document echoed."""
    return read_results(payload, count, list_key="results", score_key="relevance_score")


def refusal(answer: Refusal) -> BackendError | None:
    """Find the over-long pair among the many reasons of a 400.

    Older builds say it flat, newer ones below `error`.
    """
    nested = reading.member(answer.payload, "error", "message")
    words = reading.text(nested or reading.member(answer.payload, "message"))
    if "maximum context length" not in words:
        return None
    limit = _LIMIT.search(words)
    given = _GIVEN.search(words)
    return TooLarge(
        answer.backend,
        Excess.TOKENS,
        given=int(given[1]) if given else None,
        limit=int(limit[1]) if limit else None,
    )


DIALECT = Dialect(
    # Its key guards what is below /v1 alone: /rerank answers anybody.
    path="/v1/rerank",
    encode=encode,
    decode=decode,
    refusal=refusal,
    scale=None,
    max_documents=1000,
    max_tokens=512,
    max_in_flight=32,
    billing=TOKENS,
)
