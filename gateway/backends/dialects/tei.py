"""HuggingFace Text Embeddings Inference, over HTTP.

Read in its router (1.9.3): `texts`, not `documents`; a bare array comes back; no model
and no result limit in the request; unknown fields are ignored.
"""

import re
from collections.abc import Mapping

from gateway.backends import reading
from gateway.backends.billing import TOKENS
from gateway.backends.dialect import Call, Decoded, Dialect, Info, Refusal
from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from gateway.backends.facts import Facts
from gateway.backends.reading import Json
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale

_BATCH = re.compile(r"batch size (\d{1,9}) > maximum allowed batch size (\d{1,9})")
_LENGTH = re.compile(r"must have less than (\d{1,9}) tokens\. Given: (\d{1,9})")


def encode(call: Call) -> Json:
    """Ask for logits: TEI's own sigmoid saturates to ties in half precision."""
    return {
        "query": call.query,
        "texts": call.texts,
        "raw_scores": True,
        # Its default is false before 1.9.0, and one long pair then fails them all.
        "truncate": True,
    }


def decode(payload: Json, count: int) -> Decoded:
    """Read `[{"index": 1, "score": 2.5}, …]`, which comes best first."""
    return Decoded(raw=reading.by_index(payload, score_key="score", count=count))


def usage(headers: Mapping[str, str]) -> Usage:
    """Read how many tokens were computed: only a header says it."""
    tokens = headers.get("x-compute-tokens", "")
    counted = tokens.isascii() and tokens.isdigit()
    return reading.usage(tokens=float(tokens) if counted else None)


def refusal(answer: Refusal) -> BackendError | None:
    """Tell apart what 413, 422 and 424 mean: each is used for two things."""
    kind = reading.text(reading.member(answer.payload, "error_type")).lower()
    words = reading.text(reading.member(answer.payload, "error"))
    if kind == "validation":
        return excess(answer.backend, words) or TooLarge(answer.backend, Excess.BYTES)
    if kind == "overloaded":
        return RateLimited(answer.backend, "its queue is full")
    if kind == "unhealthy":
        return Unavailable(answer.backend, "it says unhealthy", loading=True)
    if kind == "backend":
        if "not a re-ranker" in words:
            rejected = Rejected(answer.backend, "its model is not a reranker")
            rejected.state = BackendState.MISCONFIGURED
            return rejected
        return Unavailable(answer.backend, "its inference failed")
    return None


def excess(backend: str, words: str) -> TooLarge | None:
    """Find what there was too much of in its words; None: they say nothing of it."""
    if batch := _BATCH.search(words):
        return TooLarge(
            backend, Excess.DOCUMENTS, given=int(batch[1]), limit=int(batch[2])
        )
    if length := _LENGTH.search(words):
        return TooLarge(
            backend, Excess.TOKENS, given=int(length[2]), limit=int(length[1])
        )
    return None


def read_info(payload: Json, facts: Facts) -> None:
    """Read `/info`: the model served, and how many texts one call may bring."""
    told = reading.mapping(payload, "the info")
    limit = told.get("max_client_batch_size")
    if isinstance(limit, int) and not isinstance(limit, bool):
        facts.learn_max_documents(limit)
    facts.learn_model(reading.text(told.get("model_id")))
    facts.learn_revision(reading.text(told.get("model_sha")))


DIALECT = Dialect(
    path="/rerank",
    encode=encode,
    decode=decode,
    usage=usage,
    refusal=refusal,
    scale=Scale.LOGIT,
    max_documents=32,  # its default max_client_batch_size
    # Each text takes one of 512 permits, and a call that gets none for one of its
    # texts is refused whole: 16 calls of 32 texts.
    max_in_flight=16,
    billing=TOKENS,
    info=Info(path="/info", read=read_info),
)
