"""Jina's rerank API.

From its documentation: Cohere's shape with a model and without search units. Its newer
models judge a list as a whole, so those are never split.
"""

from gateway.backends.billing import TOKENS
from gateway.backends.dialect import Call, Decoded, Dialect
from gateway.backends.reading import Json
from gateway.backends.results import read_results
from gateway.ranking.normalize import Scale


def encode(call: Call) -> Json:
    """Ask for every document, without echoing them."""
    return {
        "model": call.model,
        "query": call.query,
        "documents": call.texts,
        "top_n": len(call.texts),
        "return_documents": False,
    }


def decode(payload: Json, count: int) -> Decoded:
    """Read its results, as Cohere has them."""
    return read_results(payload, count, list_key="results", score_key="relevance_score")


def listwise(model: str) -> bool:
    """Tell whether a model compares the documents of a call with each other."""
    return model.startswith("jina-reranker-v3")


DIALECT = Dialect(
    path="/v1/rerank",
    encode=encode,
    decode=decode,
    scale=Scale.PROBABILITY,
    max_documents=1000,
    max_in_flight=5,  # concurrent calls of its free tier
    billing=TOKENS,
    needs_model=True,
    listwise=listwise,
    home="https://api.jina.ai",
)
