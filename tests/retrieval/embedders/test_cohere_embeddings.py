"""Cohere's embed API, version 2."""

import pytest

from gateway.backends.errors import (
    BackendError,
    RateLimited,
    Rejected,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Purpose
from gateway.retrieval.embedders import DIALECTS
from tests.retrieval.embedders.played import ask, over
from tests.support.vendors import says

ANSWER = {
    "id": "da6e531f",
    "embeddings": {"float": [[0.6, 0.8], [-1, 0]]},
    "texts": ["What?", "That."],
    "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": 7}},
    "response_type": "embeddings_by_type",
}


@pytest.mark.parametrize(
    ("purpose", "input_type"),
    [(Purpose.QUERY, "search_query"), (Purpose.DOCUMENT, "search_document")],
)
async def test_it_is_told_what_the_vectors_are_for(
    purpose: Purpose, input_type: str
) -> None:
    vendor = says(ANSWER)
    embedder = over(vendor, "cohere", model="embed-v4.0", key="test-api-key")
    found = await ask(embedder, ["What?", "That."], purpose=purpose)
    (request,) = vendor.requests
    assert str(request.url) == "http://vendor.test/v2/embed"
    assert request.headers["authorization"] == "Bearer test-api-key"
    assert vendor.sent == {
        "model": "embed-v4.0",
        "input_type": input_type,
        "texts": ["What?", "That."],
        "embedding_types": ["float"],
    }
    assert found.vectors.tolist() == [pytest.approx([0.6, 0.8]), [-1, 0]]
    assert found.model == "embed-v4.0"
    assert found.usage == Usage(tokens=7)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, Unauthenticated),
        (422, Rejected),
        (429, RateLimited),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_its_status_says_what_a_refusal_means(
    status: int, kind: type[BackendError]
) -> None:
    body = {"message": "unknown field: parameter 'x' is not a valid field"}
    with pytest.raises(BackendError) as raised:
        await ask(over(says(body, status), "cohere", model="m"), ["a"])
    assert type(raised.value) is kind


def test_what_has_to_be_known_before_it_is_asked() -> None:
    dialect = DIALECTS["cohere"]
    assert dialect.needs_model
    assert dialect.home == "https://api.cohere.com"
    assert dialect.max_texts == 96
