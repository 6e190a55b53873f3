"""Our own RPCs as JSON, by the Connect protocol."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2

from rerank.v1 import document_pb2, rerank_service_pb2
from tests.e2e.vendor import reply
from tests.faces.asking import (
    CAPITAL,
    COHERE,
    DOCUMENTS,
    ORDER,
    SCORES,
    Scene,
    facing,
)

pytestmark = pytest.mark.real_time

_RERANK = "/rerank.v1.RerankService/Rerank"
_ASKED = {
    "query": CAPITAL,
    "documents": [
        {"id": f"d{place}", "text": text} for place, text in enumerate(DOCUMENTS)
    ],
    "topN": 2,
}
_SECRET = "secret-of-the-caller-91"


@pytest.fixture(scope="module")
async def scene(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("collections")
    async with facing(
        retrieval={"engine": "embedded", "path": str(folder)},
        embedder={"dialect": "none"},
        routes={
            "default": {"backends": ["behind"]},
            "off": {"backends": ["behind"], "enabled": False},
        },
    ) as scene:
        yield scene


def _of_results(response: httpx.Response) -> list[tuple[str, float]]:
    return [(each["id"], each["rerankScore"]) for each in response.json()["results"]]


async def test_rerank_as_json(scene: Scene) -> None:
    response = await scene.post(_RERANK, _ASKED, {"connect-protocol-version": "1"})

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-search-method"] == "rerank"
    assert response.headers["x-rerank-model"] == "rerank-v3.5"
    assert _of_results(response) == [("d3", 0.999071), ("d4", 0.7867867)]
    answer = json_format.Parse(response.content, rerank_service_pb2.RerankResponse())
    assert answer.execution.scored_count == 5
    assert answer.execution.outcome == 1


async def test_names_of_fields_may_be_those_of_the_contract(scene: Scene) -> None:
    asked = {**_ASKED, "top_n": 1}
    del asked["topN"]
    response = await scene.post(_RERANK, asked)

    assert _of_results(response) == [("d3", 0.999071)]


async def test_rerank_as_bytes(scene: Scene) -> None:
    request = rerank_service_pb2.RerankRequest(
        query=CAPITAL, documents=[document_pb2.Document(text=t) for t in DOCUMENTS]
    )
    response = await scene.client.post(
        _RERANK,
        content=request.SerializeToString(),
        headers={"Content-Type": "application/proto"},
    )

    assert response.headers["content-type"] == "application/proto"
    answer = rerank_service_pb2.RerankResponse.FromString(response.content)
    assert [each.index for each in answer.results] == ORDER
    assert [each.rerank_score for each in answer.results] == SCORES


async def test_a_remembered_answer_is_the_same_as_json_and_as_bytes() -> None:
    remembering = {"max_bytes": 10_000_000, "max_answer_bytes": 10_000_000}
    async with facing(cache=remembering) as scene:
        request = json_format.ParseDict(_ASKED, rerank_service_pb2.RerankRequest())
        for _ in range(3):
            told = await scene.post(_RERANK, _ASKED)
            packed = await scene.client.post(
                _RERANK,
                content=request.SerializeToString(),
                headers={"Content-Type": "application/proto"},
            )

        assert len(scene.vendor.received) == 1
    answer = rerank_service_pb2.RerankResponse.FromString(packed.content)
    assert _of_results(told) == [("d3", 0.999071), ("d4", 0.7867867)]
    assert [each.id for each in answer.results] == ["d3", "d4"]
    assert packed.headers["x-fallback-triggered"] == "false"


async def test_collections_documents_and_searches(scene: Scene) -> None:
    documents = "/rerank.v1.DocumentService"
    created = await scene.post(f"{documents}/CreateCollection", {"name": "papers"})
    listed = await scene.post(f"{documents}/ListCollections", {})
    found = await scene.post(
        "/rerank.v1.SearchService/Search",
        {"query": "anything", "collection": "papers", "rerank": {"route": "off"}},
    )
    missing = await scene.post(
        f"{documents}/GetDocument", {"collection": "papers", "id": "none"}
    )
    again = await scene.post(f"{documents}/CreateCollection", {"name": "papers"})
    gone = await scene.post(f"{documents}/DeleteCollection", {"name": "papers"})

    assert created.json()["collection"]["name"] == "papers"
    assert [each["name"] for each in listed.json()["collections"]] == ["papers"]
    assert found.status_code == 200
    assert found.headers["x-search-method"]
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (again.status_code, again.json()["code"]) == (409, "already_exists")
    assert gone.status_code == 200


async def test_backends(scene: Scene) -> None:
    listed = await scene.post("/rerank.v1.BackendService/ListBackends", {})
    checked = await scene.post("/rerank.v1.BackendService/CheckBackend", {"name": "?"})

    assert "behind" in [each["name"] for each in listed.json()["backends"]]
    assert checked.status_code == 404


async def test_an_error_has_the_details_that_a_grpc_caller_gets(scene: Scene) -> None:
    response = await scene.post(
        _RERANK, {"query": " ", "documents": [{"id": "a"}, {"id": "a"}], "topN": -1}
    )

    error = response.json()
    assert response.status_code == 400
    assert error["code"] == "invalid_argument"
    assert error["message"].startswith("query: must not be blank (and 2 more)")
    info, bad = error["details"]
    assert info["type"] == "google.rpc.ErrorInfo"
    assert info["debug"]["reason"] == "INVALID_REQUEST"
    padded = bad["value"] + "=" * (-len(bad["value"]) % 4)
    packed = error_details_pb2.BadRequest.FromString(base64.b64decode(padded))
    assert [each.field for each in packed.field_violations] == [
        "query",
        "documents[1].id",
        "top_n",
    ]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"query": _SECRET, "documents": [{"text": 3}]}, "documents[0].text"),
        ({"query": [_SECRET]}, "query"),
        ({"query": "a", "documents": [{"text": "a", _SECRET: 1}]}, "documents[0]"),
        ({"query": "a", "documents": _SECRET}, "documents"),
        ({"query": "a", "documents": [None]}, "documents[0]"),
        (
            {"query": "a", "documents": [{"embedding": [1e39]}]},
            "documents[0].embedding[0]",
        ),
        ({"query": "a", "labels": {_SECRET: 3}}, "labels"),
        ({"query": "a", "documents": [{"metadata": []}]}, "documents[0].metadata"),
        ({_SECRET: "a"}, "request"),
        ({"query": "a", "failurePolicy": _SECRET}, "failurePolicy"),
        ({"query": "a", "timeout": _SECRET}, "timeout"),
        ({"query": "a", "topN": 2**40}, "topN"),
        ({"query": "a", "top_n": 1, "topN": 1}, "topN"),
        ({"query": "a", "documents": [{"score": "x at y.z"}]}, "documents[0].score"),
    ],
)
async def test_what_is_no_message_is_told_without_quoting_it(
    scene: Scene, body: dict[str, Any], field: str
) -> None:
    response = await scene.post(_RERANK, body)

    assert response.status_code == 400
    assert response.json()["code"] == "invalid_argument"
    assert response.json()["message"].startswith(f"{field}: ")
    assert _SECRET not in response.text


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b'{"query": NaN}', 400),
        (
            "application/json",
            b'{"documents": ' + b'[{"metadata": {"a": ' * 2 + b"}",
            400,
        ),
        ("application/proto", b"\xff\xff", 400),
        ("application/connect+json", b"{}", 415),
        ("application/grpc", b"", 415),
        ("text/plain", b"{}", 415),
    ],
)
async def test_what_cannot_be_read(
    scene: Scene, content_type: str, body: bytes, status: int
) -> None:
    response = await scene.client.post(
        _RERANK, content=body, headers={"Content-Type": content_type}
    )

    assert response.status_code == status
    assert response.json()["code"] == "invalid_argument"
    if status == 415:
        assert response.headers["accept-post"] == "application/json, application/proto"


async def test_another_version_of_the_protocol_is_refused(scene: Scene) -> None:
    response = await scene.post(_RERANK, _ASKED, {"connect-protocol-version": "2"})

    assert response.status_code == 400
    assert response.json()["message"] == "connect-protocol-version: must be 1"


@pytest.mark.parametrize(
    "method", ["RerankService/RerankBatch", "RerankService/Nothing", "No/No"]
)
async def test_what_is_not_served_is_a_404(scene: Scene, method: str) -> None:
    response = await scene.post(f"/rerank.v1.{method}", {})

    assert response.status_code == 404
    assert response.json()["code"] == "unimplemented"


@pytest.mark.parametrize(
    ("play", "status", "code"),
    [
        (reply(503, b"", headers={"Retry-After": "3"}), 503, "unavailable"),
        (reply(401, b""), 400, "failed_precondition"),
    ],
)
async def test_a_rerank_that_may_not_fall_back(
    play: Any, status: int, code: str
) -> None:
    async with facing(play) as scene:
        asked = {**_ASKED, "failurePolicy": "FAILURE_POLICY_FAIL"}
        response = await scene.post(_RERANK, asked)

    assert response.status_code == status
    assert response.json()["code"] == code
    assert response.headers["x-fallback-triggered"] == "true"
    kinds = [each["type"] for each in response.json()["details"]]
    assert "rerank.v1.Execution" in kinds
    assert response.headers.get("retry-after") == ("3" if status == 503 else None)


async def test_every_fault_of_a_shape_is_told_at_once(scene: Scene) -> None:
    documents = [{"text": 1}, {"id": True, "score": "much"}, {"embedding": 3}]
    response = await scene.post(
        _RERANK, {"query": 3, "documents": documents, "topK": 1.5, "minScore": "NaN"}
    )

    bad = response.json()["details"][1]["debug"]["fieldViolations"]
    assert [(each["field"], each["description"]) for each in bad] == [
        ("query", "must be a string"),
        ("documents[0].text", "must be a string"),
        ("documents[1].id", "must be a string"),
        ("documents[1].score", "must be a number"),
        ("documents[2].embedding", "must be a list"),
        ("topK", "must be a whole number of 32 bits"),
    ]


async def test_a_filter_may_be_deep_or_is_refused(scene: Scene) -> None:
    search = "/rerank.v1.SearchService/Search"
    for depth in (10, 60, 70, 200):
        condition: Any = {"eq": {"field": "a", "value": {"boolValue": True}}}
        for _ in range(depth):
            condition = {"not": condition}
        response = await scene.post(
            search, {"query": "a", "collection": "none", "filter": condition}
        )
        assert response.status_code in (400, 404), response.text


async def test_numbers_are_those_of_the_model(scene: Scene) -> None:
    scene.vendor.play = COHERE.scored(lambda text: 1 / 3 if text == "a" else 0.1)
    documents = [{"text": "b"}, {"text": "a"}]
    response = await scene.post(_RERANK, {"query": "q", "documents": documents})

    assert response.json()["results"][0]["rerankScore"] == 1 / 3
