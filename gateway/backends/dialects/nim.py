"""NVIDIA's NIM for reranking.

From its documentation: query and passages are objects, and `rankings` hold a `logit`,
not a score.
"""

from gateway.backends.dialect import Call, Decoded, Dialect
from gateway.backends.reading import Json
from gateway.backends.results import read_results
from gateway.ranking.normalize import Scale


def encode(call: Call) -> Json:
    """Ask for every passage, cut where it is too long."""
    return {
        "model": call.model,
        "query": {"text": call.query},
        "passages": [{"text": text} for text in call.texts],
        "truncate": "END",
    }


def decode(payload: Json, count: int) -> Decoded:
    """Read its rankings, which hold logits."""
    return read_results(payload, count, list_key="rankings", score_key="logit")


DIALECT = Dialect(
    path="/v1/ranking",
    encode=encode,
    decode=decode,
    scale=Scale.LOGIT,
    max_documents=512,
    max_in_flight=32,
    needs_model=True,
)
