"""HuggingFace Text Embeddings Inference, over HTTP.

Read in its router (1.9.3): `inputs`, and a bare array of arrays comes back in the same
order; no model in the call; unknown fields are ignored. How it refuses is the same as
for reranking.
"""

from gateway.backends import reading as json
from gateway.backends.dialect import Info, Refusal
from gateway.backends.dialects import tei
from gateway.backends.errors import BackendError, BackendState, Rejected
from gateway.backends.reading import Json
from gateway.retrieval.embedders import reading
from gateway.retrieval.embedders.dialect import Call, Decoded, Dialect


def encode(call: Call) -> Json:
    """Ask for vectors of length 1; it does not know what they are for."""
    return {
        "inputs": call.texts,
        # Its default is false before 1.9.0, and one long text then fails them all.
        "truncate": True,
        "normalize": True,
    }


def decode(payload: Json, count: int) -> Decoded:
    """Read `[[0.1, …], …]`."""
    return Decoded(vectors=reading.by_position(payload, count=count))


def refusal(answer: Refusal) -> BackendError | None:
    """Find the wrong kind of model behind a 424; the rest is as for reranking."""
    words = json.text(json.member(answer.payload, "error"))
    if "not an embedding model" in words:
        rejected = Rejected(answer.backend, "its model gives no embeddings")
        rejected.state = BackendState.MISCONFIGURED
        return rejected
    return tei.refusal(answer)


DIALECT = Dialect(
    path="/embed",
    encode=encode,
    decode=decode,
    usage=tei.usage,
    refusal=refusal,
    max_texts=32,  # its default max_client_batch_size
    # Half of its 512 permits, at 32 texts each: a load of documents leaves room for
    # queries.
    max_in_flight=8,
    info=Info(path="/info", read=tei.read_info),
)
