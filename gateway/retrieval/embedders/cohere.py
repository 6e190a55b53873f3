"""Cohere's embed API, version 2.

Read in its OpenAPI document: unknown fields are refused with 422, at most 96 texts, and
the vectors nest under the name of their type.
"""

from gateway.backends import reading as json
from gateway.backends.reading import Json
from gateway.retrieval.embedder import Purpose
from gateway.retrieval.embedders import reading
from gateway.retrieval.embedders.dialect import Call, Decoded, Dialect

_INPUT_TYPES = {
    Purpose.QUERY: "search_query",
    Purpose.DOCUMENT: "search_document",
}


def encode(call: Call) -> Json:
    """Ask for floats; a long text is cut at its end, which is Cohere's default."""
    return {
        "model": call.model,
        "input_type": _INPUT_TYPES[call.purpose],
        "texts": call.texts,
        "embedding_types": ["float"],
    }


def decode(payload: Json, count: int) -> Decoded:
    """Read `{"embeddings": {"float": [[0.1, …], …]}, "meta"}`; texts may be echoed."""
    answer = json.mapping(payload, "the answer")
    vectors = json.mapping(answer.get("embeddings"), "the embeddings").get("float")
    units = json.member(answer, "meta", "billed_units")
    return Decoded(
        vectors=reading.by_position(vectors, count=count),
        usage=json.usage(tokens=json.member(units, "input_tokens")),
    )


DIALECT = Dialect(
    path="/v2/embed",
    encode=encode,
    decode=decode,
    max_texts=96,
    max_in_flight=8,
    needs_model=True,
    home="https://api.cohere.com",
)
