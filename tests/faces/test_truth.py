"""A fallback is visible to everyone, loses no document, and never becomes a score."""

from typing import Any

import pytest

from tests.e2e.vendor import Play, hang, refusing_url, reply
from tests.faces.asking import CAPITAL, CAPITALS, DOCUMENTS, Scene, facing

pytestmark = pytest.mark.real_time

_DOWN = reply(503, b"", headers={"Retry-After": "7"})

# By path: what is sent, and where results and their scores are in an answer.
_CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "/cohere/v1/rerank": ({"documents": DOCUMENTS}, "results", "relevance_score"),
    "/cohere/v2/rerank": (
        {"documents": DOCUMENTS, "model": "x"},
        "results",
        "relevance_score",
    ),
    "/jina/v1/rerank": (
        {"documents": DOCUMENTS, "model": "x"},
        "results",
        "relevance_score",
    ),
    "/tei/rerank": ({"texts": DOCUMENTS}, "", "score"),
    "/v1/rerank": ({"documents": DOCUMENTS}, "results", "relevance_score"),
    "/voyage/v1/rerank": (
        {"documents": DOCUMENTS, "model": "x"},
        "data",
        "relevance_score",
    ),
}
_PATHS = sorted(_CASES)


def _scored(path: str, answer: Any) -> list[tuple[int, float | None]]:
    _, member, score = _CASES[path]
    results = answer[member] if member else answer
    return [(each["index"], each[score]) for each in results]


async def _ask(scene: Scene, path: str, **headers: str) -> Any:
    body, _, _ = _CASES[path]
    return await scene.post(
        path,
        {"query": CAPITAL, **body},
        {name.replace("_", "-"): value for name, value in headers.items()},
    )


@pytest.mark.parametrize("path", _PATHS)
async def test_an_answer_says_how_it_came_about(path: str) -> None:
    async with facing() as scene:
        response = await _ask(scene, path)

    said = {
        name: value for name, value in response.headers.items() if name.startswith("x-")
    }
    assert said == {
        "x-search-method": "rerank",
        "x-fallback-triggered": "false",
        "x-rerank-outcome": "RERANKED",
        "x-rerank-route": "default",
        "x-rerank-backend": "behind",
        "x-rerank-model": "rerank-v3.5",
    }


@pytest.mark.parametrize("path", _PATHS)
async def test_after_a_fallback_all_documents_are_there_as_received_without_scores(
    path: str,
) -> None:
    async with facing(_DOWN) as scene:
        response = await _ask(scene, path)

    assert response.status_code == 200
    assert _scored(path, response.json()) == [(place, None) for place in range(5)]
    said = {
        name: value for name, value in response.headers.items() if name.startswith("x-")
    }
    assert said == {
        "x-search-method": "input_order",
        "x-fallback-triggered": "true",
        "x-fallback-reason": "UNAVAILABLE",
        "x-rerank-outcome": "FELL_BACK",
        "x-rerank-route": "default",
    }


async def test_whoever_did_not_score_is_not_called_the_model() -> None:
    async with facing(_DOWN) as scene:
        answers = [
            (await _ask(scene, path)).json()
            for path in ("/jina/v1/rerank", "/voyage/v1/rerank", "/v1/rerank")
        ]
        warned = (await _ask(scene, "/cohere/v2/rerank")).json()["meta"]["warnings"]

    assert [each["model"] for each in answers] == [None, None, None]
    assert len(warned) == 1
    assert "reranking fell back (behind: UNAVAILABLE" in warned[0]


@pytest.mark.parametrize(
    ("play", "reason"),
    [
        (reply(429, b""), "RATE_LIMITED"),
        (reply(401, b""), "UNAUTHENTICATED"),
        (reply(200, b"<html>"), "MALFORMED"),
        (hang, "DEADLINE"),
    ],
)
async def test_the_reason_is_named(play: Play, reason: str) -> None:
    async with facing(play) as scene:
        response = await _ask(scene, "/cohere/v2/rerank", x_timeout_s="0.3")

    assert response.status_code == 200
    assert response.headers["x-fallback-reason"] == reason


async def test_a_later_backend_that_answers_is_named_and_so_is_what_failed_before() -> (
    None
):
    with refusing_url() as url:
        async with facing(
            environ={
                "RERANK_GATEWAY__BACKENDS__FIRST__DIALECT": "tei",
                "RERANK_GATEWAY__BACKENDS__FIRST__URL": url,
            },
            routes={"default": {"backends": ["first", "behind"]}},
        ) as scene:
            response = await _ask(scene, "/tei/rerank")

    assert response.headers["x-rerank-backend"] == "behind"
    assert response.headers["x-fallback-triggered"] == "true"
    assert response.headers["x-fallback-reason"] == "UNAVAILABLE"
    assert response.headers["x-rerank-outcome"] == "RERANKED"
    assert response.json()[0]["score"] == max(CAPITALS.values())


@pytest.mark.parametrize("path", _PATHS)
async def test_documents_that_nobody_scored_stand_below_without_a_score(
    path: str,
) -> None:
    async with facing() as scene:
        body, _, _ = _CASES[path]
        field = "texts" if "texts" in body else "documents"
        documents = [" ", DOCUMENTS[0], "", DOCUMENTS[3]]
        response = await scene.post(path, {**body, "query": CAPITAL, field: documents})

    assert _scored(path, response.json()) == [
        (3, 0.999071),
        (1, 0.32713068),
        (0, None),
        (2, None),
    ]
    assert response.headers["x-fallback-triggered"] == "false"


# Who would rather have an error gets the vendor's own


@pytest.mark.parametrize("path", _PATHS)
@pytest.mark.parametrize("by", ["header", "setting"])
async def test_no_scores_are_an_error_where_that_is_wanted(path: str, by: str) -> None:
    http = {"on_fallback": "error"} if by == "setting" else {}
    headers = {"x_failure_policy": "error"} if by == "header" else {}
    async with facing(_DOWN, http=http) as scene:
        response = await _ask(scene, path, **headers)

    assert response.status_code == 503
    assert response.headers["retry-after"] == "7"
    assert response.headers["x-fallback-triggered"] == "true"
    assert response.headers["x-fallback-reason"] == "UNAVAILABLE"
    error = response.json()
    words = error.get("message") or error.get("detail") or error.get("error")
    assert "reranking fell back (behind: UNAVAILABLE" in words


async def test_an_error_that_stays_is_not_one_to_repeat() -> None:
    async with facing(reply(401, b"")) as scene:
        response = await _ask(scene, "/tei/rerank", x_failure_policy="error")

    assert response.status_code == 424
    assert response.json()["error_type"] == "Backend"
    assert "retry-after" not in response.headers


async def test_a_caller_may_keep_the_order_where_the_setting_says_error() -> None:
    async with facing(_DOWN, http={"on_fallback": "error"}) as scene:
        response = await _ask(scene, "/v1/rerank", x_failure_policy="keep_order")

    assert response.status_code == 200
    assert response.headers["x-fallback-triggered"] == "true"


async def test_another_policy_is_refused() -> None:
    async with facing() as scene:
        response = await _ask(scene, "/cohere/v2/rerank", x_failure_policy="maybe")

    assert response.status_code == 400
    assert response.json() == {
        "message": "x-failure-policy: must be keep_order or error"
    }
