"""Pinecone's inference API."""

import pytest

from gateway.backends.errors import (
    BackendError,
    Malformed,
    RateLimited,
    Rejected,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.ranking.normalize import Scale
from gateway.settings import SettingsError, checked
from tests.support.scorers import asking
from tests.support.vendors import (
    WELL_BEHAVED,
    Watched,
    asking_for,
    composed,
    over,
    says,
)

MODEL = "bge-reranker-v2-m3"

# pinecone-io/pinecone-python-client:tests/unit/test_inference_adapter.py
CLIENT_EXAMPLE = """{"model":"bge-reranker-v2-m3","data":[{"index":1,"score":0.95},
{"index":0,"score":0.3,"document":{"text":"Less relevant"}}],
"usage":{"rerank_units":1}}"""

# docs.pinecone.io/guides/search/rerank-results
DOCUMENTED_EXAMPLE = """{"model":"bge-reranker-v2-m3","data":[
{"index":2,"score":0.48357219},{"index":0,"score":0.048405956},
{"index":3,"score":0.007846239},{"index":1,"score":0.0006563728}],
"usage":{"rerank_units":1}}"""

ASKED = {
    "model": MODEL,
    "query": "why",
    "documents": [{"text": "a"}, {"text": "b"}],
    "rank_fields": ["text"],
    "top_n": 2,
    "return_documents": False,
    "parameters": {"truncate": "END"},
}


async def test_it_is_asked_about_objects_and_nothing_more() -> None:
    vendor = says(CLIENT_EXAMPLE)
    await over(vendor, "pinecone", model=MODEL).score(asking("a", "b", query="why"))
    assert str(vendor.requests[0].url) == "http://vendor.test/rerank"
    assert vendor.sent == ASKED


@pytest.mark.parametrize("model", ["cohere-rerank-3.5", "cohere-rerank-4-fast"])
async def test_models_without_the_parameter_that_cuts_are_not_sent_it(
    model: str,
) -> None:
    vendor = says(CLIENT_EXAMPLE)
    await over(vendor, "pinecone", model=model).score(asking("a", "b", query="why"))
    without = {key: value for key, value in ASKED.items() if key != "parameters"}
    assert vendor.sent == {**without, "model": model}


async def test_its_key_has_a_header_of_its_own_and_every_call_a_version() -> None:
    vendor = says(CLIENT_EXAMPLE)
    await over(vendor, "pinecone", model=MODEL, key="test-api-key").score(asking_for(2))
    headers = vendor.requests[0].headers
    assert headers["api-key"] == "test-api-key"
    assert headers["x-pinecone-api-version"] == "2025-10"
    assert "authorization" not in headers


async def test_the_example_of_its_client_is_read() -> None:
    scores = await over(says(CLIENT_EXAMPLE), "pinecone", model="configured").score(
        asking_for(2)
    )
    assert scores.raw == (0.3, 0.95)
    # Its models give logits, which it does not pass on.
    assert scores.scale is Scale.PROBABILITY
    assert scores.model == MODEL
    assert scores.usage == Usage(search_units=1.0)


async def test_the_example_of_its_documentation_is_read() -> None:
    scores = await over(says(DOCUMENTED_EXAMPLE), "pinecone", model=MODEL).score(
        asking_for(4)
    )
    assert scores.raw == (0.048405956, 0.0006563728, 0.48357219, 0.007846239)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        # Voyage has the same outer name
        ({"data": [{"index": 0, "relevance_score": 0.5}]}, "score of 0 is missing"),
        ({"results": [{"index": 0, "score": 0.5}]}, "the list of results is missing"),
    ],
)
async def test_the_shape_of_others_is_refused(answer: object, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        await over(says(answer), "pinecone", model=MODEL).score(asking_for(1))


# Settings


async def test_only_a_model_and_a_key_need_to_be_configured() -> None:
    vendor = Watched(WELL_BEHAVED["pinecone"])
    async with composed(vendor, "pinecone", model=MODEL, key="test-api-key") as scorer:
        assert (await scorer.score(asking_for(2))).complete
    (request,) = vendor.requests
    assert str(request.url) == "https://api.pinecone.io/rerank"
    assert request.headers["api-key"] == "test-api-key"
    assert request.headers["x-pinecone-api-version"] == "2025-10"


def test_without_a_model_it_is_not_configured() -> None:
    with pytest.raises(SettingsError, match="model: is required by pinecone"):
        checked({"backends": {"b": {"dialect": "pinecone"}}})


async def test_it_takes_a_hundred_documents_in_a_call() -> None:
    vendor = Watched(WELL_BEHAVED["pinecone"])
    async with composed(vendor, "pinecone", model=MODEL, top_k=250) as scorer:
        assert (await scorer.score(asking_for(250))).complete
    assert vendor.sizes == [100, 100, 50]


# Refusals


@pytest.mark.parametrize(
    ("status", "kind", "transient"),
    [
        (400, Rejected, False),
        (401, Unauthenticated, False),
        (402, Unauthenticated, False),
        (403, Unauthenticated, False),
        (404, Rejected, False),
        # What its own client repeats
        (408, Rejected, True),
        (429, RateLimited, True),
        (500, Unavailable, True),
        (502, Unavailable, True),
        (503, Unavailable, True),
        (504, Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, kind: type[BackendError], *, transient: bool
) -> None:
    error = {"code": "INVALID_ARGUMENT", "message": "no"}
    vendor = says({"error": error, "status": status}, status, {"Retry-After": "3"})
    with pytest.raises(BackendError) as raised:
        await over(vendor, "pinecone", model=MODEL).score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is transient
    if transient:
        assert raised.value.retry_after_s == 3.0
