"""Callers without an SDK: what the documents of vLLM, Infinity and TEI say to send."""

from typing import Any

import httpx
import pytest
import requests

from clients.sdks.asking import (
    AS_RECEIVED,
    BLANK_WORDS,
    DOCUMENTS,
    KEY,
    MODEL,
    QUERY,
    Gateway,
    Scores,
)

_PATIENCE_S = 10.0


def _scores(results: Any, *, score: str = "relevance_score") -> Scores:
    return [(each["index"], each[score]) for each in results]


@pytest.fixture(params=["/rerank", "/v1/rerank", "/v2/rerank"])
def like_vllm(request: pytest.FixtureRequest, gateway: Gateway) -> str:
    return f"{gateway.http}{request.param}"


def _ask_like_vllm(url: str, **more: Any) -> requests.Response:
    headers = {"accept": "application/json", "Content-Type": "application/json"}
    data = {"model": MODEL, "query": QUERY, "documents": DOCUMENTS, **more}
    return requests.post(url, headers=headers, json=data, timeout=_PATIENCE_S)


def test_what_vllms_example_sends_is_answered(gateway: Gateway, like_vllm: str) -> None:
    response = _ask_like_vllm(like_vllm)

    assert response.status_code == 200
    assert _scores(response.json()["results"]) == gateway.scores()


def test_vllms_top_n_bounds_the_results(gateway: Gateway, like_vllm: str) -> None:
    response = _ask_like_vllm(like_vllm, top_n=2)

    assert _scores(response.json()["results"]) == gateway.scores(top_n=2)


def test_vllms_callers_see_a_fallback(like_vllm: str) -> None:
    response = _ask_like_vllm(like_vllm, model="down")

    assert response.status_code == 200
    assert _scores(response.json()["results"]) == AS_RECEIVED
    assert response.headers["x-fallback-triggered"] == "true"
    assert response.headers["x-fallback-reason"] == "UNAVAILABLE"


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank"])
def test_vllms_callers_see_errors_as_openais_do(gateway: Gateway, path: str) -> None:
    response = _ask_like_vllm(f"{gateway.http}{path}", query="")

    assert response.status_code == 400
    assert response.json()["error"] == {
        "message": f"query: {BLANK_WORDS}",
        "type": "invalid_argument",
        "param": "query",
        "code": 400,
    }


@pytest.mark.parametrize("route", [MODEL, "strict", "down"])
def test_what_infinitys_example_sends_is_answered(gateway: Gateway, route: str) -> None:
    response = httpx.post(
        f"{gateway.http}/rerank",
        headers={"Authorization": f"Bearer {KEY}"},
        json={
            "model": route,
            "query": QUERY,
            "documents": DOCUMENTS,
            "return_documents": True,
            "top_n": 3,
        },
        timeout=_PATIENCE_S,
    )

    results = response.raise_for_status().json()["results"]
    expected = gateway.scores(route="" if route == MODEL else route, top_n=3)
    assert _scores(results) == expected
    assert [each["document"] for each in results] == [
        {"text": DOCUMENTS[place]} for place, _ in expected
    ]


@pytest.mark.parametrize("path", ["/rerank", "/tei/rerank"])
def test_what_teis_example_sends_is_answered(gateway: Gateway, path: str) -> None:
    def ask(**headers: str) -> httpx.Response:
        return httpx.post(
            f"{gateway.http}{path}",
            headers={
                "x-" + name.replace("_", "-"): said for name, said in headers.items()
            },
            json={"query": QUERY, "texts": DOCUMENTS, "return_text": True},
            timeout=_PATIENCE_S,
        )

    ranks = ask().json()
    fallen_back = ask(rerank_route="down")

    assert _scores(ranks, score="score") == gateway.scores()
    assert ranks[0]["text"] == DOCUMENTS[2]
    assert _scores(fallen_back.json(), score="score") == AS_RECEIVED
    assert fallen_back.headers["x-fallback-reason"] == "UNAVAILABLE"


@pytest.mark.parametrize("path", ["/rerank", "/tei/rerank"])
def test_teis_callers_see_its_errors(gateway: Gateway, path: str) -> None:
    response = httpx.post(
        f"{gateway.http}{path}", json={"query": "", "texts": DOCUMENTS}
    )

    assert response.status_code == 422
    assert response.json() == {
        "error": f"query: {BLANK_WORDS}",
        "error_type": "Validation",
    }
