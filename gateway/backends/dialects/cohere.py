"""Cohere's rerank API, version 1 and version 2.

Read in its OpenAPI document and Python SDK (7.0.9): unknown fields are refused with 422,
one blank document fails the whole call, and `top_n` must lie between 1 and the number
of documents.
"""

from gateway.backends import reading
from gateway.backends.billing import SEARCH_UNITS
from gateway.backends.dialect import Call, Decoded, Dialect
from gateway.backends.reading import Json
from gateway.ranking.normalize import Scale


def encode_v2(call: Call) -> Json:
    """Ask for every document; long ones are cut by Cohere at 4096 tokens."""
    return {
        "model": call.model,
        "query": call.query,
        "documents": call.texts,
        "top_n": len(call.texts),
    }


def encode_v1(call: Call) -> Json:
    """Ask for every document; long ones are scored by their best chunk."""
    body = encode_v2(call)
    # Version 1 has a default model, and would echo the documents where it may.
    if not call.model:
        del body["model"]
    return {**body, "return_documents": False}


def decode(payload: Json, count: int) -> Decoded:
    """Read `{"results": [{"index", "relevance_score"}], "meta": …}`."""
    answer = reading.mapping(payload, "the answer")
    units = reading.member(answer, "meta", "billed_units")
    return Decoded(
        raw=reading.by_index(
            answer.get("results"), score_key="relevance_score", count=count
        ),
        usage=reading.usage(
            tokens=reading.member(units, "input_tokens"),
            search_units=reading.member(units, "search_units"),
        ),
    )


_MAX_DOCUMENTS = 1000  # recommended; 10 000 is the hard limit
_MAX_IN_FLIGHT = 64
_HOME = "https://api.cohere.com"

V1 = Dialect(
    path="/v1/rerank",
    encode=encode_v1,
    decode=decode,
    scale=Scale.PROBABILITY,
    max_documents=_MAX_DOCUMENTS,
    max_in_flight=_MAX_IN_FLIGHT,
    billing=SEARCH_UNITS,
    home=_HOME,
)
V2 = Dialect(
    path="/v2/rerank",
    encode=encode_v2,
    decode=decode,
    scale=Scale.PROBABILITY,
    max_documents=_MAX_DOCUMENTS,
    max_in_flight=_MAX_IN_FLIGHT,
    billing=SEARCH_UNITS,
    home=_HOME,
    needs_model=True,
)
