"""Voyage's own SDK: `voyageai.Client` and `voyageai.AsyncClient`."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
import voyageai
from voyageai import error

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


@pytest.fixture(params=["/v1", "/voyage/v1"])
def base_url(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    return f"{gateway.http}{request.param}"


@pytest.fixture
def client(base_url: str) -> Any:
    # More patience than it has by itself, to see that it is not needed.
    return voyageai.Client(api_key=KEY, base_url=base_url, max_retries=3)


def _scores(answer: Any) -> Scores:
    return [(each.index, each.relevance_score) for each in answer.results]


def test_scores_are_those_of_the_gateway(gateway: Gateway, client: Any) -> None:
    answer = client.rerank(QUERY, DOCUMENTS, model=MODEL)

    assert _scores(answer) == gateway.scores()
    assert [each.document for each in answer.results] == [
        DOCUMENTS[place] for place, _ in gateway.scores()
    ]
    assert answer.total_tokens == 0, "the reranker that is played counts none"


async def test_so_are_they_asynchronously(gateway: Gateway, base_url: str) -> None:
    client = voyageai.AsyncClient(api_key=KEY, base_url=base_url)

    answer = await client.rerank(QUERY, DOCUMENTS, model=MODEL)

    assert _scores(answer) == gateway.scores()


def test_top_k_bounds_the_results(gateway: Gateway, client: Any) -> None:
    answer = client.rerank(QUERY, DOCUMENTS, model=MODEL, top_k=2)

    assert _scores(answer) == gateway.scores(top_n=2)


def test_a_model_that_is_the_name_of_a_route_chooses_it(
    gateway: Gateway, client: Any
) -> None:
    answer = client.rerank(QUERY, DOCUMENTS, model="strict")

    assert _scores(answer) == gateway.scores(route="strict")
    assert len(answer.results) == 2, "the route has a threshold"


@pytest.mark.parametrize("route", ["down", "slow"])
def test_a_fallback_keeps_the_order_without_scores(client: Any, route: str) -> None:
    answer = client.rerank(QUERY, DOCUMENTS, model=route)

    assert _scores(answer) == AS_RECEIVED
    assert [each.document for each in answer.results] == DOCUMENTS


def test_a_session_of_the_users_own_sees_why(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[requests.Response] = []
    session = requests.Session()
    session.hooks["response"].append(lambda response, **_: seen.append(response))
    monkeypatch.setattr(voyageai, "requestssession", session)

    # It takes one session for each thread.
    with session, ThreadPoolExecutor(max_workers=1) as fresh:
        asked = fresh.submit(client.rerank, QUERY, DOCUMENTS, model="down")
        assert _scores(asked.result()) == AS_RECEIVED

    (response,) = seen
    assert response.request.headers["authorization"] == f"Bearer {KEY}"
    assert response.headers["x-fallback-triggered"] == "true"
    assert response.headers["x-fallback-reason"] == "UNAVAILABLE"


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
    with pytest.raises(error.InvalidRequestError) as raised:
        client.rerank(query, documents, model=MODEL)

    assert raised.value.http_status == 400
    assert str(raised.value) == words


def test_the_sdks_own_timeout_is_its_own_error(base_url: str) -> None:
    client = voyageai.Client(api_key=KEY, base_url=base_url, timeout=1)

    with pytest.raises(error.Timeout):
        client.rerank(QUERY, DOCUMENTS, model="hanging")
