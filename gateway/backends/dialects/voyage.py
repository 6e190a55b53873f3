"""Voyage's rerank API.

Read in its Python client (2026-07): the bound is called `top_k`, the list `data`, and an
empty string among the documents fails the whole call.
"""

from gateway.backends import reading
from gateway.backends.billing import TOKENS
from gateway.backends.dialect import Call, Decoded, Dialect, Refusal
from gateway.backends.errors import BackendError, Excess, TooLarge
from gateway.backends.reading import Json
from gateway.backends.results import read_results
from gateway.ranking.normalize import Scale


def encode(call: Call) -> Json:
    """Ask for every document, cut where it is too long."""
    return {
        "model": call.model,
        "query": call.query,
        "documents": call.texts,
        "top_k": len(call.texts),
        "return_documents": False,
        "truncation": True,
    }


def decode(payload: Json, count: int) -> Decoded:
    """Read its results, which it calls data."""
    return read_results(payload, count, list_key="data", score_key="relevance_score")


def refusal(answer: Refusal) -> BackendError | None:
    """Find the call that has too many tokens in all, cut or not: fewer documents help."""
    words = reading.text(reading.member(answer.payload, "detail"))
    if "max allowed tokens per submitted batch" in words:
        # Its numbers count tokens, so they say nothing of how many documents fit.
        return TooLarge(answer.backend, Excess.DOCUMENTS)
    return None


DIALECT = Dialect(
    path="/v1/rerank",
    encode=encode,
    decode=decode,
    refusal=refusal,
    scale=Scale.PROBABILITY,
    max_documents=1000,
    max_in_flight=16,
    billing=TOKENS,
    needs_model=True,
    home="https://api.voyageai.com",
)
