"""Cohere's own SDK: `cohere.Client` (v1), `cohere.ClientV2`, and the asynchronous ones."""

from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import pytest

from clients.sdks.asking import (
    AS_RECEIVED,
    BLANK_WORDS,
    DOCUMENTS,
    KEY,
    MODEL,
    QUERY,
    TOO_MANY,
    TOO_MANY_WORDS,
    Gateway,
    Scores,
)

# The gateway's address alone does, and so does the path that is Cohere's alone.
BASES = ["", "/cohere"]
CLIENTS = [cohere.Client, cohere.ClientV2]
ASYNC_CLIENTS = [cohere.AsyncClient, cohere.AsyncClientV2]


@pytest.fixture(params=BASES)
def base_url(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    return f"{gateway.http}{request.param}"


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest, base_url: str) -> Iterator[Any]:
    with request.param(api_key=KEY, base_url=base_url) as client:
        yield client


@pytest.fixture(params=ASYNC_CLIENTS)
def async_client(request: pytest.FixtureRequest, base_url: str) -> Any:
    return request.param(api_key=KEY, base_url=base_url)


def _scores(answer: Any) -> Scores:
    return [(each.index, each.relevance_score) for each in answer.results]


def test_scores_are_those_of_the_gateway(gateway: Gateway, client: Any) -> None:
    answer = client.rerank(model=MODEL, query=QUERY, documents=DOCUMENTS)

    assert _scores(answer) == gateway.scores()
    assert _scores(answer)[0] == (2, 15 / 16)
    assert answer.id


async def test_so_are_they_asynchronously(gateway: Gateway, async_client: Any) -> None:
    async with async_client as client:
        answer = await client.rerank(model=MODEL, query=QUERY, documents=DOCUMENTS)

    assert _scores(answer) == gateway.scores()


def test_top_n_bounds_the_results(gateway: Gateway, client: Any) -> None:
    answer = client.rerank(model=MODEL, query=QUERY, documents=DOCUMENTS, top_n=2)

    assert _scores(answer) == gateway.scores(top_n=2)
    assert len(answer.results) == 2


def test_a_model_that_is_the_name_of_a_route_chooses_it(
    gateway: Gateway, client: Any
) -> None:
    answer = client.with_raw_response.rerank(
        model="strict", query=QUERY, documents=DOCUMENTS
    )

    assert _scores(answer.data) == gateway.scores(route="strict")
    assert len(answer.data.results) == 2, "the route has a threshold"
    assert answer.headers["x-rerank-route"] == "strict"


def test_how_it_came_about_is_in_the_headers(client: Any) -> None:
    answer = client.with_raw_response.rerank(
        model=MODEL, query=QUERY, documents=DOCUMENTS
    )

    assert answer.headers["x-rerank-route"] == "default"
    assert answer.headers["x-rerank-backend"] == "judge"
    assert answer.headers["x-rerank-outcome"] == "RERANKED"
    assert answer.headers["x-search-method"] == "rerank"
    assert answer.headers["x-fallback-triggered"] == "false"


@pytest.mark.parametrize("base", BASES)
def test_version_1_takes_objects_and_gives_them_back(
    gateway: Gateway, base: str
) -> None:
    documents = [
        {"text": text, "number": str(number)} for number, text in enumerate(DOCUMENTS)
    ]
    with cohere.Client(api_key=KEY, base_url=f"{gateway.http}{base}") as client:
        answer = client.rerank(query=QUERY, documents=documents, return_documents=True)
        by_number = client.rerank(
            query="2", documents=documents, rank_fields=["number"], top_n=1
        )

    assert _scores(answer) == gateway.scores()
    assert [dict(each.document) for each in answer.results] == [
        documents[place] for place, _ in gateway.scores()
    ]
    assert [each.index for each in by_number.results] == [2]


@pytest.mark.parametrize("base", BASES)
def test_version_1_gives_texts_back_only_where_asked(
    gateway: Gateway, base: str
) -> None:
    with cohere.Client(api_key=KEY, base_url=f"{gateway.http}{base}") as client:
        with_texts = client.rerank(
            query=QUERY, documents=DOCUMENTS, return_documents=True
        )
        without = client.rerank(query=QUERY, documents=DOCUMENTS)

    assert with_texts.results[0].document.text == DOCUMENTS[2]
    assert [each.document for each in without.results] == [None] * 4


# Fallbacks


@pytest.mark.parametrize(
    ("route", "reason"),
    [("down", "UNAVAILABLE"), ("slow", "TIMEOUT"), ("busy", "RATE_LIMITED")],
)
def test_a_fallback_keeps_the_order_and_says_so(
    gateway: Gateway, client: Any, route: str, reason: str
) -> None:
    answer = client.with_raw_response.rerank(
        model=route, query=QUERY, documents=DOCUMENTS
    )

    assert _scores(answer.data) == AS_RECEIVED == gateway.scores(route=route)
    assert answer.headers["x-fallback-triggered"] == "true"
    assert answer.headers["x-fallback-reason"] == reason
    (warning,) = answer.data.meta.warnings
    assert f"reranking fell back ({route}: {reason}" in warning


async def test_so_it_does_asynchronously(async_client: Any) -> None:
    async with async_client as client:
        answer = await client.with_raw_response.rerank(
            model="down", query=QUERY, documents=DOCUMENTS
        )

    assert _scores(answer.data) == AS_RECEIVED
    assert answer.headers["x-fallback-reason"] == "UNAVAILABLE"


def test_another_backend_that_scores_is_named(gateway: Gateway, client: Any) -> None:
    answer = client.with_raw_response.rerank(
        model="second", query=QUERY, documents=DOCUMENTS
    )

    assert _scores(answer.data) == gateway.scores()
    assert answer.headers["x-rerank-backend"] == "judge"
    assert answer.headers["x-fallback-triggered"] == "true"


def test_a_fallback_comes_in_the_time_that_the_caller_says(client: Any) -> None:
    answer = client.with_raw_response.rerank(
        model="hanging",
        query=QUERY,
        documents=DOCUMENTS,
        request_options={"additional_headers": {"x-timeout-s": "0.3"}},
    )

    assert _scores(answer.data) == AS_RECEIVED
    assert answer.headers["x-fallback-reason"] == "DEADLINE"


def test_who_would_rather_have_an_error_gets_the_vendors(client: Any) -> None:
    with pytest.raises(cohere.ServiceUnavailableError) as raised:
        client.rerank(
            model="down",
            query=QUERY,
            documents=DOCUMENTS,
            request_options={
                "additional_headers": {"x-failure-policy": "error"},
                "max_retries": 0,
            },
        )

    assert "reranking fell back (down: UNAVAILABLE" in raised.value.body["message"]


# Errors


@pytest.mark.parametrize(
    ("query", "documents", "words"),
    [
        (" ", DOCUMENTS, f"query: {BLANK_WORDS}"),
        (QUERY, TOO_MANY, f"documents: {TOO_MANY_WORDS}"),
    ],
    ids=["blank query", "too many documents"],
)
def test_mistakes_are_the_sdks_own_errors(
    client: Any, query: str, documents: list[str], words: str
) -> None:
    with pytest.raises(cohere.BadRequestError) as raised:
        client.rerank(model=MODEL, query=query, documents=documents)

    assert raised.value.status_code == 400
    assert raised.value.body["message"] == words


async def test_so_they_are_asynchronously(async_client: Any) -> None:
    async with async_client as client:
        with pytest.raises(cohere.BadRequestError) as raised:
            await client.rerank(model=MODEL, query=" ", documents=DOCUMENTS)

    assert raised.value.body["message"] == f"query: {BLANK_WORDS}"


@pytest.mark.parametrize("kind", CLIENTS)
def test_one_request_is_sent_with_the_key_whatever_comes_of_it(
    base_url: str, kind: Any
) -> None:
    sent: list[httpx.Request] = []
    hooked = httpx.Client(event_hooks={"request": [sent.append]})
    with kind(api_key=KEY, base_url=base_url, httpx_client=hooked) as client:
        client.rerank(model="down", query=QUERY, documents=DOCUMENTS)
        with pytest.raises(cohere.BadRequestError):
            client.rerank(model=MODEL, query="", documents=DOCUMENTS)

    assert [each.headers["authorization"] for each in sent] == [f"Bearer {KEY}"] * 2


@pytest.mark.parametrize("kind", CLIENTS)
def test_the_sdks_own_timeout_is_its_own_error(base_url: str, kind: Any) -> None:
    with (
        kind(api_key=KEY, base_url=base_url) as client,
        pytest.raises(httpx.TimeoutException),
    ):
        client.rerank(
            model="hanging",
            query=QUERY,
            documents=DOCUMENTS,
            request_options={"timeout_in_seconds": 1, "max_retries": 0},
        )
