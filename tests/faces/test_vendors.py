"""What each vendor's tools send is understood, and they get back what they read, field by field."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.vendor import hang, reply
from tests.faces.asking import (
    CAPITAL,
    CAPITALS,
    COHERE,
    DOCUMENTS,
    LLAMACPP,
    ORDER,
    SCORES,
    Scene,
    facing,
)

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with facing(
        routes={
            "default": {"backends": ["behind"]},
            "legal": {"backends": ["behind"], "top_k": 2},
        }
    ) as scene:
        yield scene


async def _answer(scene: Scene, path: str, **body: Any) -> Any:
    response = await scene.post(path, {"query": CAPITAL, **body})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return response.json()


def _pairs(results: list[dict[str, Any]], score: str) -> list[tuple[int, float]]:
    return [(each["index"], each[score]) for each in results]


RANKED = list(zip(ORDER, SCORES, strict=True))


# Cohere: the example of cohere-openapi.yaml


@pytest.mark.parametrize("path", ["/cohere/v2/rerank", "/v2/rerank"])
async def test_cohere_v2(scene: Scene, path: str) -> None:
    answer = await _answer(
        scene,
        path,
        model="rerank-v4.0-pro",
        documents=DOCUMENTS,
        top_n=3,
        max_tokens_per_doc=4096,
        priority=0,
    )

    assert answer.pop("id")
    assert answer == {
        "results": [
            {"index": 3, "relevance_score": 0.999071},
            {"index": 4, "relevance_score": 0.7867867},
            {"index": 0, "relevance_score": 0.32713068},
        ],
        "meta": {"api_version": {"version": "2"}},
    }


async def test_cohere_v1_gives_documents_back_when_asked(scene: Scene) -> None:
    documents = [{"text": DOCUMENTS[0], "page": 4}, *DOCUMENTS[1:]]

    answer = await _answer(
        scene,
        "/cohere/v1/rerank",
        documents=documents,
        top_n=3,
        return_documents=True,
        max_chunks_per_doc=10,
    )

    assert answer["meta"] == {"api_version": {"version": "1"}}
    assert answer["results"] == [
        {
            "index": 3,
            "relevance_score": 0.999071,
            "document": {"text": DOCUMENTS[3]},
        },
        {
            "index": 4,
            "relevance_score": 0.7867867,
            "document": {"text": DOCUMENTS[4]},
        },
        {
            "index": 0,
            "relevance_score": 0.32713068,
            "document": {"text": DOCUMENTS[0], "page": 4},
        },
    ]


@pytest.mark.parametrize("path", ["/cohere/v1/rerank", "/v1/rerank"])
async def test_rank_fields_say_what_is_read_and_in_which_order(
    scene: Scene, path: str
) -> None:
    documents = [{"title": "A", "year": 1999, "text": "unread", "author": "B"}]
    scene.vendor.play = COHERE.scored(lambda _: 0.5)
    try:
        await _answer(
            scene, path, documents=documents, rank_fields=["author", "year", "gone"]
        )
    finally:
        scene.vendor.play = COHERE.scored(CAPITALS.__getitem__)

    assert scene.vendor.received[-1].json["documents"] == ["B\n1999"]


# Text Embeddings Inference


@pytest.mark.parametrize("path", ["/tei/rerank", "/rerank", "/v1/rerank"])
async def test_tei(scene: Scene, path: str) -> None:
    answer = await _answer(scene, path, texts=DOCUMENTS)

    assert answer == [{"index": index, "score": score} for index, score in RANKED]


async def test_tei_gives_texts_back_when_asked(scene: Scene) -> None:
    answer = await _answer(
        scene,
        "/tei/rerank",
        texts=DOCUMENTS,
        return_text=True,
        truncate=True,
        truncation_direction="Right",
    )

    assert answer[0] == {"index": 3, "score": 0.999071, "text": DOCUMENTS[3]}
    assert [each["text"] for each in answer] == [DOCUMENTS[place] for place in ORDER]


async def test_tei_gives_the_models_own_numbers_when_asked() -> None:
    logits = {"a": 2.5, "b": -1.25}
    async with facing(LLAMACPP.scored(logits.__getitem__), shape=LLAMACPP) as scene:
        raw = await _answer(scene, "/tei/rerank", texts=["b", "a"], raw_scores=True)
        scaled = await _answer(scene, "/tei/rerank", texts=["b", "a"])

    assert _pairs(raw, "score") == [(1, 2.5), (0, -1.25)]
    assert [each["index"] for each in scaled] == [1, 0]
    assert [each["score"] for each in scaled] == pytest.approx([0.9241418, 0.2227001])


@pytest.mark.parametrize("path", ["/info", "/tei/info"])
async def test_tei_info_says_what_is_known(scene: Scene, path: str) -> None:
    info = (await scene.client.get(path)).json()

    assert info["model_id"] == "rerank-v3.5"
    assert info["max_client_batch_size"] == 1000
    assert info["max_concurrent_requests"] == 1000
    assert info["model_type"] == {
        "reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    }
    assert info["max_input_length"] is None


# Jina, and what has no vendor's word in it


async def test_jina_gives_documents_back_unless_told_otherwise(scene: Scene) -> None:
    model = "jina-reranker-v2-base-multilingual"
    answer = await _answer(
        scene, "/jina/v1/rerank", model=model, documents=DOCUMENTS, top_n=1
    )
    without = await _answer(
        scene,
        "/jina/v1/rerank",
        model=model,
        documents=[{"text": text} for text in DOCUMENTS],
        return_documents=False,
    )

    assert answer == {
        "model": "rerank-v3.5",
        "object": "list",
        "usage": {"total_tokens": 0, "prompt_tokens": 0},
        "results": [
            {
                "index": 3,
                "relevance_score": 0.999071,
                "document": {"text": DOCUMENTS[3]},
            }
        ],
    }
    assert without["results"] == [
        {"index": index, "relevance_score": score} for index, score in RANKED
    ]


@pytest.mark.parametrize(
    "path", ["/v1/rerank", "/rerank", "/v1/reranking", "/reranking"]
)
async def test_a_bare_path_answers_what_any_reader_looks_for(
    scene: Scene, path: str
) -> None:
    answer = await _answer(
        scene, path, documents=DOCUMENTS, top_n=2, return_documents=True
    )

    assert answer.pop("id").startswith("rerank-")
    assert answer.pop("created") > 1_700_000_000
    assert answer == {
        "object": "list",
        "model": "rerank-v3.5",
        "results": [
            {
                "index": 3,
                "relevance_score": 0.999071,
                "document": {"text": DOCUMENTS[3]},
            },
            {
                "index": 4,
                "relevance_score": 0.7867867,
                "document": {"text": DOCUMENTS[4]},
            },
        ],
        "usage": {"total_tokens": 0, "prompt_tokens": 0},
        "meta": {"api_version": {"version": "1"}},
    }


async def test_at_a_bare_path_a_top_n_of_0_is_all(scene: Scene) -> None:
    answer = await _answer(scene, "/v1/rerank", documents=DOCUMENTS, top_n=0)

    assert _pairs(answer["results"], "relevance_score") == RANKED


# Voyage: what its client sends


@pytest.mark.parametrize("path", ["/voyage/v1/rerank", "/v1/rerank"])
async def test_voyage(scene: Scene, path: str) -> None:
    body = {"documents": DOCUMENTS, "model": "rerank-2.5", "truncation": True}
    some = await _answer(scene, path, **body, top_k=2, return_documents=True)
    every = await _answer(scene, path, **body, top_k=None)

    assert some == {
        "object": "list",
        "data": [
            {"index": 3, "relevance_score": 0.999071, "document": DOCUMENTS[3]},
            {"index": 4, "relevance_score": 0.7867867, "document": DOCUMENTS[4]},
        ],
        "model": "rerank-v3.5",
        "usage": {"total_tokens": 0},
    }
    assert _pairs(every["data"], "relevance_score") == RANKED


# Of all


async def test_what_a_vendor_bills_is_passed_on_and_nothing_else(scene: Scene) -> None:
    bill = {"billed_units": {"search_units": 1}}
    scene.vendor.play = reply(200, COHERE.answer(COHERE.results([0.5]), meta=bill))
    try:
        answer = await _answer(scene, "/cohere/v2/rerank", model="x", documents=["one"])
    finally:
        scene.vendor.play = COHERE.scored(CAPITALS.__getitem__)

    assert answer["meta"]["billed_units"] == {"search_units": 1}


@pytest.mark.parametrize(
    ("headers", "model", "route"),
    [
        ({}, "legal", "legal"),
        ({}, "rerank-v4.0-pro", "default"),
        ({"x-rerank-route": "legal"}, "rerank-v4.0-pro", "legal"),
        ({"x-rerank-route": "default"}, "legal", "default"),
    ],
)
async def test_a_route_is_named_by_header_or_model(
    scene: Scene, headers: dict[str, str], model: str, route: str
) -> None:
    response = await scene.post(
        "/v2/rerank",
        {"query": CAPITAL, "model": model, "documents": DOCUMENTS},
        headers,
    )

    assert response.headers["x-rerank-route"] == route


async def test_every_document_is_scored_unless_the_route_says_how_many(
    scene: Scene,
) -> None:
    documents = [str(place) for place in range(150)]
    body = {"query": CAPITAL, "documents": documents}
    scene.vendor.play = COHERE.scored(lambda text: 1 / (1 + len(text)))
    try:
        every = await _answer(scene, "/rerank", **body)
        some = await _answer(scene, "/rerank", **body, model="legal")
    finally:
        scene.vendor.play = COHERE.scored(CAPITALS.__getitem__)

    assert all(each["relevance_score"] for each in every["results"])
    assert [each["relevance_score"] is None for each in some["results"]] == [
        False,
        False,
        *[True] * 148,
    ]


@pytest.mark.parametrize(
    ("path", "field", "empty"),
    [
        ("/cohere/v1/rerank", "documents", "results"),
        ("/tei/rerank", "texts", ""),
        ("/v1/rerank", "documents", "results"),
    ],
)
async def test_no_documents_are_answered_by_none_and_nobody_is_asked(
    scene: Scene, path: str, field: str, empty: str
) -> None:
    scene.vendor.play = hang
    try:
        answer = await _answer(scene, path, **{field: []})
    finally:
        scene.vendor.play = COHERE.scored(CAPITALS.__getitem__)

    assert (answer[empty] if empty else answer) == []


async def test_health_is_well_whatever_the_backends_are(scene: Scene) -> None:
    for path in ("/health", "/tei/health"):
        response = await scene.client.get(path)

        assert response.status_code == 200
        assert response.json()["status"] == "SERVING"
        names = {each["name"] for each in response.json()["backends"]}
        assert "behind" in names


async def test_the_answer_is_remembered_as_a_whole_and_shared_with_grpc() -> None:
    remembering = {"max_bytes": 10_000_000, "max_answer_bytes": 10_000_000}
    async with facing(cache=remembering) as scene:
        body = {"query": CAPITAL, "texts": DOCUMENTS}
        answers = [(await scene.post("/rerank", body)).json() for _ in range(4)]

        assert len(scene.vendor.received) == 1
        assert all(each == answers[0] for each in answers)
