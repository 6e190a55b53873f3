"""The embeddings of OpenAI's API, as llama.cpp, vLLM, Infinity and Ollama speak it.

Read in the source of the first three: each entry carries its index. No field but what
all of them know is sent, since OpenAI itself refuses others. So a text that is too long
is refused by llama.cpp and vLLM. A llama.cpp server that was started for reranking
answers with success, garbage and nulls, which `reading` refuses.
"""

from gateway.backends import reading as json
from gateway.backends.dialect import Refusal
from gateway.backends.dialects import infinity, llamacpp, vllm
from gateway.backends.errors import BackendError, BackendState, Rejected
from gateway.backends.reading import Json
from gateway.retrieval.embedders import reading
from gateway.retrieval.embedders.dialect import Call, Decoded, Dialect

# Of Infinity with a reranker, and of llama.cpp with a model that pools nothing.
_NO_EMBEDDINGS = ("does not support `embed`", "Pooling type 'none'")


def encode(call: Call) -> Json:
    """Ask for numbers rather than base64; it does not know what they are for."""
    body: dict[str, Json] = {"input": call.texts, "encoding_format": "float"}
    return {"model": call.model, **body} if call.model else body


def decode(payload: Json, count: int) -> Decoded:
    """Read `{"data": [{"index", "embedding": [0.1, …]}], "model", "usage"}`."""
    answer = json.mapping(payload, "the answer")
    return Decoded(
        vectors=reading.by_index(
            answer.get("data"), vector_key="embedding", count=count
        ),
        model=_file_name(json.text(answer.get("model"))),
        usage=json.usage(tokens=json.member(answer, "usage", "total_tokens")),
    )


def refusal(answer: Refusal) -> BackendError | None:
    """Find the wrong model, and what is too large or loading, in each server's words."""
    words = json.text(json.member(answer.payload, "error", "message"))
    if any(each in words for each in _NO_EMBEDDINGS):
        rejected = Rejected(answer.backend, "its model gives no embeddings")
        rejected.state = BackendState.MISCONFIGURED
        return rejected
    for read in (llamacpp.refusal, vllm.refusal, infinity.refusal):
        if found := read(answer):
            return found
    return None


def _file_name(model: str) -> str:
    """Cut a path: llama.cpp reports that of its file, which is no business of callers."""
    return model.rsplit("/", 1)[-1] if model.startswith("/") else model


DIALECT = Dialect(
    path="/v1/embeddings",
    encode=encode,
    decode=decode,
    refusal=refusal,
    # OpenAI and Infinity take 2048. More in one call is no faster, and keeps a query
    # that comes in between waiting for longer.
    max_texts=64,
    max_in_flight=4,  # llama.cpp's slots
)
