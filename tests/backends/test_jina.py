"""Jina's rerank API."""

import pytest

from gateway.backends.errors import (
    BackendError,
    Malformed,
    RateLimited,
    Rejected,
    Unauthenticated,
    Unavailable,
    WrongScale,
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

MODEL = "jina-reranker-v2-base-multilingual"

# Jina's documentation, as docs.newapi.pro has it: two results, although three were wanted
PRINTED = """{"model":"jina-reranker-v2-base-multilingual",
"usage":{"total_tokens":815,"prompt_tokens":815},"results":[
{"index":0,"document":{"text":"Organic skincare for sensitive skin"},
"relevance_score":0.8783142566680908},
{"index":2,"document":{"text":"Bio-Hautpflege"},"relevance_score":0.7624675869941711}]}"""


async def test_it_is_asked_for_every_document_without_an_echo() -> None:
    vendor = says({"results": [{"index": 0, "relevance_score": 0.5}]})
    await over(vendor, "jina", model=MODEL, key="test-api-key").score(
        asking("a", query="why")
    )
    request = vendor.requests[0]
    assert str(request.url) == "http://vendor.test/v1/rerank"
    assert request.headers["authorization"] == "Bearer test-api-key"
    assert vendor.sent == {
        "model": MODEL,
        "query": "why",
        "documents": ["a"],
        "top_n": 1,
        "return_documents": False,
    }


@pytest.mark.parametrize("document", [{"text": "a"}, "a", None])
async def test_an_echo_is_an_object_or_a_string_and_does_not_matter(
    document: object,
) -> None:
    answer = {
        "model": MODEL,
        "usage": {"total_tokens": 815},
        "results": [
            {"index": 1, "relevance_score": 0.88, "document": document},
            {"index": 0, "relevance_score": 0, "document": document},
        ],
    }
    scores = await over(says(answer), "jina", model="configured").score(asking_for(2))
    assert scores.raw == (0.0, 0.88)
    assert scores.scale is Scale.PROBABILITY
    assert scores.model == MODEL
    assert scores.usage == Usage(tokens=815)


async def test_the_answer_that_its_documentation_prints_is_too_short() -> None:
    with pytest.raises(Malformed, match="2 results for 3 documents"):
        await over(says(PRINTED), "jina", model=MODEL).score(asking_for(3))


@pytest.mark.parametrize("score", [-0.05, 1.5])
async def test_a_score_outside_of_its_scale_is_not_taken_for_a_logit(
    score: float,
) -> None:
    answer = {"results": [{"index": 0, "relevance_score": score}]}
    with pytest.raises(WrongScale):
        await over(says(answer), "jina", model="jina-reranker-v3").score(asking_for(1))


# Settings


async def test_only_a_model_and_a_key_need_to_be_configured() -> None:
    vendor = Watched(WELL_BEHAVED["jina"])
    async with composed(vendor, "jina", model=MODEL, key="test-api-key") as scorer:
        assert (await scorer.score(asking_for(2))).complete
    (request,) = vendor.requests
    assert str(request.url) == "https://api.jina.ai/v1/rerank"
    assert request.headers["authorization"] == "Bearer test-api-key"


def test_without_a_model_it_is_not_configured() -> None:
    with pytest.raises(SettingsError, match=r"backends\.b\.model: is required by jina"):
        checked({"backends": {"b": {"dialect": "jina"}}})


@pytest.mark.parametrize(
    "model", [MODEL, "jina-reranker-m0", "jina-colbert-v2", "jina-reranker-v1-tiny-en"]
)
async def test_a_model_that_judges_each_document_alone_is_asked_in_parts(
    model: str,
) -> None:
    vendor = Watched(WELL_BEHAVED["jina"])
    async with composed(vendor, "jina", model=model, max_documents=2) as scorer:
        scores = await scorer.score(asking_for(5))
    assert vendor.sizes == [2, 2, 1]
    assert scores.complete
    assert scores.beyond == 0


@pytest.mark.parametrize("model", ["jina-reranker-v3", "jina-reranker-v3-turbo"])
async def test_a_model_that_compares_them_is_never_asked_in_parts(model: str) -> None:
    vendor = Watched(WELL_BEHAVED["jina"])
    async with composed(vendor, "jina", model=model, max_documents=2) as scorer:
        scores = await scorer.score(asking_for(5))
    assert vendor.sizes == [2]
    assert vendor.sent[0]["documents"] == ["document 0", "document 1"]
    assert scores.beyond == 3


async def test_all_of_a_long_list_goes_into_one_call_where_it_takes_it() -> None:
    vendor = Watched(WELL_BEHAVED["jina"])
    async with composed(vendor, "jina", model="jina-reranker-v3", top_k=1000) as scorer:
        await scorer.score(asking_for(1000))
    assert vendor.sizes == [1000]


# Refusals


@pytest.mark.parametrize(
    ("status", "detail", "kind", "transient"),
    [
        (400, "INPUT_MODEL_NOT_FOUND", Rejected, False),
        (401, "AUTH_MISSING_API_KEY", Unauthenticated, False),
        (401, "AUTH_INVALID_API_KEY", Unauthenticated, False),
        (402, "AUTHZ_INSUFFICIENT_BALANCE", Unauthenticated, False),
        (403, "AUTHZ_INSUFFICIENT_BALANCE", Unauthenticated, False),
        (404, "Not Found", Rejected, False),
        (409, "CONFLICT_RESOURCE_BUSY", Rejected, True),
        (422, "Unprocessable", Rejected, False),
        (429, "RATE_TOKEN_LIMIT_EXCEEDED", RateLimited, True),
        (500, "Internal", Unavailable, True),
        (503, "Overloaded", Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, detail: str, kind: type[BackendError], *, transient: bool
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says({"detail": detail}, status), "jina", model=MODEL).score(
            asking_for(1)
        )
    assert type(raised.value) is kind
    assert raised.value.transient is transient
    assert not (transient and status < 500 and raised.value.blames_backend)
