"""Cohere, version 1 and version 2, with the answers that its own documentation prints."""

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
from tests.support.scorers import asking
from tests.support.vendors import asking_for, over, says

BOTH = pytest.mark.parametrize("dialect", ["cohere-v1", "cohere-v2"])

# cohere-ai/cohere-developer-experience:cohere-openapi.yaml, /v1/rerank
OPENAPI_EXAMPLE = """{"id":"8bc745a3-7871-4597-822e-18c95d5df48c","results":[
{"index":3,"relevance_score":0.999071},{"index":4,"relevance_score":0.7867867},
{"index":0,"relevance_score":0.32713068}],
"meta":{"api_version":{"version":"1"},"billed_units":{"search_units":1}}}"""

# The same repository, overview of rerank
OVERVIEW_EXAMPLE = """{"id":"97813271-fe74-465d-b9d5-577e77079253","results":[
{"index":3,"relevance_score":0.943264},{"index":2,"relevance_score":0.62209207},
{"index":1,"relevance_score":0.6054258},{"index":0,"relevance_score":0.59040135},
{"index":4,"relevance_score":0.4664567}],
"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":1}}}"""


async def test_version_2_is_asked_for_every_document_and_nothing_more() -> None:
    vendor = says(OVERVIEW_EXAMPLE)
    await over(vendor, "cohere-v2", model="rerank-v3.5").score(
        asking(*"abcde", query="capital?")
    )
    assert str(vendor.requests[0].url) == "http://vendor.test/v2/rerank"
    assert vendor.sent == {
        "model": "rerank-v3.5",
        "query": "capital?",
        "documents": ["a", "b", "c", "d", "e"],
        "top_n": 5,
    }


async def test_version_1_is_asked_without_an_echo() -> None:
    vendor = says(OVERVIEW_EXAMPLE)
    await over(vendor, "cohere-v1", model="rerank-v3.5").score(asking(*"abcde"))
    assert str(vendor.requests[0].url) == "http://vendor.test/v1/rerank"
    assert vendor.sent == {
        "model": "rerank-v3.5",
        "query": "q",
        "documents": ["a", "b", "c", "d", "e"],
        "top_n": 5,
        "return_documents": False,
    }


async def test_version_1_chooses_its_own_model_where_none_is_configured() -> None:
    vendor = says(OVERVIEW_EXAMPLE)
    await over(vendor, "cohere-v1").score(asking(*"abcde"))
    assert "model" not in vendor.sent


@BOTH
async def test_the_answer_that_its_overview_prints_is_read(dialect: str) -> None:
    scores = await over(says(OVERVIEW_EXAMPLE), dialect, model="rerank-v3.5").score(
        asking_for(5)
    )
    assert scores.raw == (0.59040135, 0.6054258, 0.62209207, 0.943264, 0.4664567)
    assert scores.scale is Scale.PROBABILITY
    assert scores.usage == Usage(search_units=1.0)
    assert scores.model == "rerank-v3.5"


@BOTH
async def test_an_answer_with_an_echo_of_the_documents_is_read(dialect: str) -> None:
    answer = {
        "results": [
            {"index": 1, "relevance_score": 1, "document": {"text": "b"}},
            {"index": 0, "relevance_score": 0, "document": None},
        ]
    }
    scores = await over(says(answer), dialect, model="m").score(asking_for(2))
    assert scores.raw == (0.0, 1.0)
    assert scores.usage == Usage()


@BOTH
async def test_a_list_that_leaves_documents_out_is_refused(dialect: str) -> None:
    """It was asked for all of them; its own example shows what `top_n` 3 would give."""
    with pytest.raises(Malformed, match="v: 3 results for 5 documents"):
        await over(says(OPENAPI_EXAMPLE), dialect, model="m").score(asking_for(5))


async def test_a_list_cut_at_ten_of_a_window_of_twenty_is_refused() -> None:
    # elastic/elasticsearch#111212
    best = [1, 15, 3, 0, 2, 4, 5, 6, 7, 8]
    results = [{"index": index, "relevance_score": 0.5} for index in best]
    with pytest.raises(Malformed, match="10 results for 20 documents"):
        await over(says({"results": results}), "cohere-v2", model="m").score(
            asking_for(20)
        )


@pytest.mark.parametrize(
    ("status", "body", "kind", "transient"),
    [
        (400, {"message": "invalid request: list of documents"}, Rejected, False),
        (401, {"message": "invalid api token"}, Unauthenticated, False),
        (402, {"message": "please add a payment method"}, Unauthenticated, False),
        (403, "<html>Forbidden</html>", Unauthenticated, False),
        (404, {"message": "model 'xyz' not found"}, Rejected, False),
        (
            422,  # HKUDS/LightRAG#1813
            {"message": "unknown field: parameter 'top_k' is not a valid field"},
            Rejected,
            False,
        ),
        (429, {"message": "You are past the per minute limit"}, RateLimited, True),
        (498, {"message": "blocked token"}, Rejected, False),
        (499, {"message": "cancelled"}, Rejected, False),
        (500, {"message": "internal server error"}, Unavailable, True),
        (501, {"message": "not implemented"}, Unavailable, False),
        (503, {"message": "unavailable"}, Unavailable, True),
        (504, {"message": "timeout"}, Unavailable, True),
    ],
)
async def test_what_its_refusals_mean(
    status: int, body: object, kind: type[BackendError], *, transient: bool
) -> None:
    with pytest.raises(BackendError) as raised:
        await over(says(body, status), "cohere-v2", model="m").score(asking_for(1))
    assert type(raised.value) is kind
    assert raised.value.transient is transient


async def test_a_rate_limit_says_how_long_to_stay_away() -> None:
    vendor = says({"message": "too many"}, 429, {"Retry-After": "17"})
    with pytest.raises(RateLimited) as raised:
        await over(vendor, "cohere-v2", model="m").score(asking_for(1))
    assert raised.value.retry_after_s == 17.0
