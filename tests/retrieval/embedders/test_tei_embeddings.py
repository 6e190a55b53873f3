"""HuggingFace Text Embeddings Inference, asked for vectors."""

from typing import Any

import pytest

from gateway.backends.errors import (
    BackendError,
    BackendState,
    Excess,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Purpose
from gateway.retrieval.embedders import DIALECTS
from tests.retrieval.embedders.played import ask, facts, over
from tests.support.vendors import says


@pytest.mark.parametrize("purpose", Purpose)
async def test_it_is_asked_for_vectors_of_texts_and_nothing_more(
    purpose: Purpose,
) -> None:
    vendor = says([[1, 0], [0.6, 0.8]])
    found = await ask(
        over(vendor, "tei", model="configured"), ["What?", "That."], purpose=purpose
    )
    (request,) = vendor.requests
    assert request.method == "POST"
    assert str(request.url) == "http://vendor.test/embed"
    assert vendor.sent == {
        "inputs": ["What?", "That."],
        "truncate": True,
        "normalize": True,
    }
    assert found.vectors.tolist() == [[1, 0], pytest.approx([0.6, 0.8])]
    assert (found.model, found.dimension) == ("configured", 2)


async def test_its_header_tells_the_tokens() -> None:
    vendor = says([[1.0]], headers={"X-Compute-Tokens": "12"})
    assert (await ask(over(vendor, "tei"), ["a"])).usage == Usage(tokens=12)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            429,
            {"error": "Model is overloaded", "error_type": "Overloaded"},
            RateLimited,
        ),
        (503, {"error": "unhealthy", "error_type": "Unhealthy"}, Unavailable),
        (424, {"error": "CUDA", "error_type": "Backend"}, Unavailable),
        (422, "Failed to deserialize the JSON body", Rejected),
    ],
)
async def test_it_refuses_as_it_refuses_to_rerank(
    status: int, body: Any, kind: type[BackendError]
) -> None:
    with pytest.raises(BackendError) as raised:
        await ask(over(says(body, status), "tei"), ["a"])
    assert type(raised.value) is kind


@pytest.mark.parametrize("status", [413, 422])
async def test_a_batch_that_is_too_large_names_its_bound(status: int) -> None:
    body = {
        "error": "batch size 33 > maximum allowed batch size 32",
        "error_type": "Validation",
    }
    with pytest.raises(TooLarge) as raised:
        await ask(over(says(body, status), "tei"), ["a"] * 33)
    error = raised.value
    assert (error.excess, error.given, error.limit) == (Excess.DOCUMENTS, 33, 32)


async def test_a_model_that_gives_no_embeddings_is_a_mistake_of_the_operator() -> None:
    body = {"error": "Model is not an embedding model", "error_type": "Backend"}
    with pytest.raises(Rejected, match="v: its model gives no embeddings") as raised:
        await ask(over(says(body, 424), "tei"), ["a"])
    assert raised.value.state is BackendState.MISCONFIGURED


def test_it_tells_its_model_and_its_batch() -> None:
    known = facts(32, "", fixed=False)
    info = DIALECTS["tei"].info
    assert info
    assert info.path == "/info"
    info.read({"model_id": "BAAI/bge-small-en", "max_client_batch_size": 64}, known)
    assert (known.model, known.max_documents) == ("BAAI/bge-small-en", 64)
