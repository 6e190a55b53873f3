"""The embeddings of OpenAI's API, as llama.cpp, vLLM, Infinity and Ollama speak it."""

from typing import Any

import pytest

from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    Malformed,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Purpose
from tests.retrieval.embedders.played import ask, over
from tests.support.vendors import says


def answer(*vectors: Any, model: Any = "m") -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": place, "embedding": vector}
        for place, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return {"object": "list", "data": data, "model": model, "usage": usage}


@pytest.mark.parametrize("purpose", Purpose)
async def test_it_is_asked_for_floats_and_nothing_more(purpose: Purpose) -> None:
    vendor = says(answer([1, 0], [0, 1]))
    embedder = over(vendor, "openai", model="bge", key="test-api-key")
    await ask(embedder, ["What?", "That."], purpose=purpose)
    (request,) = vendor.requests
    assert str(request.url) == "http://vendor.test/v1/embeddings"
    assert request.headers["authorization"] == "Bearer test-api-key"
    assert vendor.sent == {
        "model": "bge",
        "input": ["What?", "That."],
        "encoding_format": "float",
    }


async def test_without_a_model_the_server_chooses() -> None:
    vendor = says(answer([1, 0]))
    await ask(over(vendor, "openai"), ["a"])
    assert vendor.sent == {"input": ["a"], "encoding_format": "float"}


async def test_vectors_are_paired_by_index_wherever_they_stand() -> None:
    body = answer([1, 0], [0, 1], [0, -1])
    body["data"].reverse()
    found = await ask(over(says(body), "openai"), ["a", "b", "c"])
    assert found.vectors.tolist() == [[1, 0], [0, 1], [0, -1]]
    assert found.usage == Usage(tokens=3)


@pytest.mark.parametrize(
    ("said", "reported"),
    [
        ("bge-m3", "bge-m3"),
        ("BAAI/bge-m3", "BAAI/bge-m3"),
        ("/models/bge-m3.gguf", "bge-m3.gguf"),
        (None, "configured"),
        (7, "configured"),
        ("m" * 1000, "m" * 256),
    ],
)
async def test_the_model_is_what_it_says_else_what_is_configured(
    said: Any, reported: str
) -> None:
    vendor = says(answer([1, 0], model=said))
    found = await ask(over(vendor, "openai", model="configured"), ["a"])
    assert found.model == reported


async def test_a_server_started_for_reranking_is_found_out() -> None:
    # llama.cpp 0c1e570 with --reranking: 200, 384 zeros, two of them null
    numbers: list[float | None] = [0.0] * 384
    numbers[20] = numbers[23] = None
    words = "v: a number of vector 0 is missing or null, not a number"
    with pytest.raises(Malformed, match=words):
        await ask(over(says(answer(numbers)), "openai"), ["hello"])


def _error(message: str, kind: str = "", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, **more}}


@pytest.mark.parametrize(
    ("status", "body"),
    [
        # Recorded from Infinity 0.0.78
        (
            400,
            _error(
                "ModelNotDeployedError: model=`minilm-ce` does not support `embed` for "
                "modality `text`. Reason: the loaded moded cannot fullyfill `embed`."
            ),
        ),
        (400, _error("Pooling type 'none' is not OAI compatible.")),
    ],
)
async def test_a_model_that_gives_no_embeddings_is_a_mistake_of_the_operator(
    status: int, body: Any
) -> None:
    with pytest.raises(Rejected, match="v: its model gives no embeddings") as raised:
        await ask(over(says(body, status), "openai"), ["a"])
    assert raised.value.state is BackendState.MISCONFIGURED


@pytest.mark.parametrize(
    ("body", "given", "limit"),
    [
        # llama.cpp
        (
            _error(
                "input (738 tokens) is too large to process. increase the physical "
                "batch size (current batch size: 512)",
                "server_error",
            ),
            738,
            512,
        ),
        (
            _error(
                "input (900 tokens) is larger than the max context size (512 tokens). "
                "skipping",
                "exceed_context_size_error",
                n_prompt_tokens=900,
                n_ctx=512,
            ),
            900,
            512,
        ),
        # vLLM
        (
            _error(
                "This model's maximum context length is 512 tokens. However, you "
                "requested 600 tokens in the input for embedding generation."
            ),
            600,
            512,
        ),
    ],
)
async def test_a_text_that_is_too_long_is_told_from_a_broken_server(
    body: Any, given: int, limit: int
) -> None:
    with pytest.raises(TooLarge) as raised:
        await ask(over(says(body, 500), "openai"), ["a"])
    error = raised.value
    assert (error.excess, error.given, error.limit) == (Excess.TOKENS, given, limit)


async def test_a_list_that_is_too_long_for_infinity_is_told() -> None:
    context = {"actual_length": 2049, "max_length": 2048}
    body = {"detail": [{"type": "too_long", "ctx": context}]}
    with pytest.raises(TooLarge) as raised:
        await ask(over(says(body, 422), "openai"), ["a"])
    assert (raised.value.excess, raised.value.limit) == (Excess.DOCUMENTS, 2048)


@pytest.mark.parametrize(
    ("status", "body", "kind", "state"),
    [
        (
            503,
            _error("Loading model", "unavailable_error"),
            Unavailable,
            BackendState.LOADING,
        ),
        (
            501,
            _error("This server does not support embeddings.", "not_supported_error"),
            Unavailable,
            BackendState.MISCONFIGURED,
        ),
        (
            401,
            _error("Invalid API Key", "authentication_error"),
            Unauthenticated,
            BackendState.MISCONFIGURED,
        ),
        (404, _error("File Not Found"), Rejected, BackendState.MISCONFIGURED),
        (400, {"object": "error", "message": "no"}, Rejected, BackendState.DEGRADED),
    ],
)
async def test_the_rest_is_as_its_status_or_its_words_say(
    status: int, body: Any, kind: type[BackendError], state: BackendState
) -> None:
    with pytest.raises(BackendError) as raised:
        await ask(over(says(body, status), "openai"), ["a"])
    assert type(raised.value) is kind
    assert raised.value.state is state
