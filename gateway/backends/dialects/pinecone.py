"""Pinecone's inference API.

Read in its Python client (2026-05): documents are objects, the list is `data`, the key
has a header of its own, and every call names the version of the API.
"""

from gateway.backends import reading
from gateway.backends.billing import SEARCH_UNITS
from gateway.backends.dialect import Call, Decoded, Dialect
from gateway.backends.reading import Json
from gateway.ranking.normalize import Scale


def encode(call: Call) -> Json:
    """Ask for every document, cut where it is too long."""
    body: dict[str, Json] = {
        "model": call.model,
        "query": call.query,
        "documents": [{"text": text} for text in call.texts],
        "rank_fields": ["text"],
        "top_n": len(call.texts),
        "return_documents": False,
    }
    # Cohere's models, which it serves too, always cut, and know no such parameter.
    if not call.model.startswith("cohere-"):
        body["parameters"] = {"truncate": "END"}
    return body


def decode(payload: Json, count: int) -> Decoded:
    """Read `{"model", "data": [{"index", "score"}], "usage": {"rerank_units"}}`."""
    answer = reading.mapping(payload, "the answer")
    return Decoded(
        raw=reading.by_index(answer.get("data"), score_key="score", count=count),
        model=reading.text(answer.get("model")),
        usage=reading.usage(
            search_units=reading.member(answer, "usage", "rerank_units")
        ),
    )


def credentials(api_key: str) -> dict[str, str]:
    """Spell a key as Pinecone wants it."""
    return {"Api-Key": api_key}


DIALECT = Dialect(
    path="/rerank",
    encode=encode,
    decode=decode,
    credentials=credentials,
    headers={"X-Pinecone-Api-Version": "2025-10"},
    scale=Scale.PROBABILITY,
    max_documents=100,
    max_in_flight=16,
    needs_model=True,
    billing=SEARCH_UNITS,
    home="https://api.pinecone.io",
)
