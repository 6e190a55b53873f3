"""Voyage's rerank API."""

import json

import httpx
import pytest

from gateway.backends.errors import (
    BackendError,
    Excess,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
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
    reply,
    says,
)

MODEL = "rerank-2.5"

# continuedev/continue#1848
TOO_MANY_TOKENS = (
    "Request to model 'rerank-1' failed. The max allowed tokens per submitted batch is"
    " 100000. Your batch has 145736 tokens after truncation. Please lower the number of"
    " tokens in the batch."
)
# volcengine/OpenViking#1712
EMPTY_STRING = (
    "Error for argument 'documents': Value error, Input cannot contain empty strings or"
    " empty lists"
)


async def test_it_is_asked_in_its_own_words_and_nothing_more() -> None:
    vendor = says({"data": [{"index": 0, "relevance_score": 0.5}]})
    await over(vendor, "voyage", model=MODEL, key="test-api-key").score(
        asking("a", query="why")
    )
    request = vendor.requests[0]
    assert str(request.url) == "http://vendor.test/v1/rerank"
    assert request.headers["authorization"] == "Bearer test-api-key"
    assert vendor.sent == {
        "model": MODEL,
        "query": "why",
        "documents": ["a"],
        "top_k": 1,
        "return_documents": False,
        "truncation": True,
    }


async def test_its_results_are_called_data() -> None:
    # The shape of docs.voyageai.com/reference/reranker-api
    answer = """{"object":"list","data":[{"relevance_score":0.4375,"index":1},
    {"relevance_score":0.421875,"index":0,"document":"a"}],
    "model":"rerank-2.5","usage":{"total_tokens":26}}"""
    scores = await over(says(answer), "voyage", model="configured").score(asking_for(2))
    assert scores.raw == (0.421875, 0.4375)
    assert scores.scale is Scale.PROBABILITY
    assert scores.model == "rerank-2.5"
    assert scores.usage == Usage(tokens=26)


async def test_the_shape_of_others_is_refused() -> None:
    answer = {"results": [{"index": 0, "relevance_score": 0.5}]}
    with pytest.raises(Malformed, match="the list of results is missing"):
        await over(says(answer), "voyage", model=MODEL).score(asking_for(1))


# Settings


async def test_only_a_model_and_a_key_need_to_be_configured() -> None:
    vendor = Watched(WELL_BEHAVED["voyage"])
    async with composed(vendor, "voyage", model=MODEL, key="test-api-key") as scorer:
        assert (await scorer.score(asking_for(2))).complete
    (request,) = vendor.requests
    assert str(request.url) == "https://api.voyageai.com/v1/rerank"
    assert request.headers["authorization"] == "Bearer test-api-key"


async def test_the_other_address_that_it_has_can_be_configured() -> None:
    vendor = Watched(WELL_BEHAVED["voyage"])
    url = "https://ai.mongodb.com/v1"
    async with composed(vendor, "voyage", model=MODEL, url=url) as scorer:
        await scorer.score(asking_for(1))
    assert str(vendor.requests[0].url) == "https://ai.mongodb.com/v1/rerank"


def test_without_a_model_it_is_not_configured() -> None:
    with pytest.raises(SettingsError, match="model: is required by voyage"):
        checked({"backends": {"b": {"dialect": "voyage"}}})


async def test_it_takes_a_thousand_documents_in_a_call() -> None:
    vendor = Watched(WELL_BEHAVED["voyage"])
    async with composed(vendor, "voyage", model=MODEL, top_k=1001) as scorer:
        assert (await scorer.score(asking_for(1001))).complete
    assert vendor.sizes == [1000, 1]


# Refusals


async def test_a_call_with_too_many_tokens_in_all_is_too_large() -> None:
    vendor = says({"detail": TOO_MANY_TOKENS}, 400)
    with pytest.raises(TooLarge) as raised:
        await over(vendor, "voyage", model=MODEL).score(asking_for(2))
    error = raised.value
    # What it counts are tokens, so neither number is one of documents.
    assert (error.excess, error.given, error.limit) == (Excess.DOCUMENTS, None, None)


async def test_a_call_with_too_many_tokens_in_all_is_split() -> None:
    async def takes_two(request: httpx.Request) -> httpx.Response:
        if len(json.loads(request.content)["documents"]) > 2:
            return reply({"detail": TOO_MANY_TOKENS}, 400)
        return await WELL_BEHAVED["voyage"](request)

    vendor = Watched(takes_two)
    async with composed(vendor, "voyage", model=MODEL) as scorer:
        scores = await scorer.score(asking("a", "bb", "ccc", "dddd", "eeeee"))
    assert scores.raw == (0.001, 0.002, 0.003, 0.004, 0.005)
    assert vendor.sizes == [5, 3, 2, 2, 1]


@pytest.mark.parametrize(
    ("status", "detail", "kind", "transient"),
    [
        (400, EMPTY_STRING, Rejected, False),
        (400, ["not", "a", "string"], Rejected, False),
        (401, "Provided API key is invalid.", Unauthenticated, False),
        (422, "Unprocessable", Rejected, False),
        (429, "You have exceeded your rate limit.", RateLimited, True),
        (500, "Internal", Unavailable, True),
        (502, "Bad gateway", Unavailable, True),
        (503, "Unavailable", Unavailable, True),
        (504, "Timeout", Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, detail: object, kind: type[BackendError], *, transient: bool
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says({"detail": detail}, status), "voyage", model=MODEL).score(
            asking_for(1)
        )
    assert type(raised.value) is kind
    assert raised.value.transient is transient


async def test_a_rate_limit_says_how_long_to_stay_away() -> None:
    vendor = says({"detail": "too many"}, 429, {"retry-after": "20"})
    with pytest.raises(RateLimited) as raised:
        await over(vendor, "voyage", model=MODEL).score(asking_for(1))
    assert raised.value.retry_after_s == 20.0
