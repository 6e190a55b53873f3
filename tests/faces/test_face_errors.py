"""What is wrong is told as each vendor tells it, all of it at once, and quotes no text."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.e2e.vendor import hang
from tests.faces.asking import CAPITAL, DOCUMENTS, PATIENCE_S, Scene, facing

pytestmark = pytest.mark.real_time

_SECRET = "secret-of-the-caller-91"


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    async with facing(
        server={
            "max_message_bytes": 20_000,
            "max_documents": 6,
            "max_document_bytes": 1000,
        }
    ) as scene:
        yield scene


_VALID: dict[str, dict[str, Any]] = {
    "/cohere/v1/rerank": {"documents": DOCUMENTS},
    "/cohere/v2/rerank": {"documents": DOCUMENTS, "model": "x"},
    "/jina/v1/rerank": {"documents": DOCUMENTS, "model": "x"},
    "/tei/rerank": {"texts": DOCUMENTS},
    "/v1/rerank": {"documents": DOCUMENTS},
    "/voyage/v1/rerank": {"documents": DOCUMENTS, "model": "x"},
}


def _words(path: str, error: Any) -> str:
    """Read an error as the vendor's own client does."""
    if path == "/tei/rerank":
        assert error["error_type"] in (
            "Validation",
            "Overloaded",
            "Unhealthy",
            "Backend",
        )
        return str(error["error"])
    if path.startswith("/cohere"):
        assert error.keys() == {"message"}
        return str(error["message"])
    if path == "/v1/rerank":
        assert error["message"] == error["detail"] == error["error"]["message"]
        assert error["error"].keys() == {"message", "type", "param", "code"}
        return str(error["detail"])
    assert error.keys() == {"detail"}
    return str(error["detail"])


@pytest.mark.parametrize(
    ("path", "wrong", "status", "said"),
    [
        (
            "/cohere/v2/rerank",
            {
                "query": 7,
                "documents": ["", _SECRET * 50, {"text": _SECRET}],
                "top_n": 0,
                "model": None,
                "top_k": 3,
            },
            422,
            {
                "query: must be a string",
                "documents[2]: must be a string",
                "top_n: input should be greater than or equal to 1",
                "model: must be a string",
                "top_k: there is no such field",
                "documents[1]: title and text must have at most 1000 bytes of UTF-8",
            },
        ),
        (
            "/cohere/v2/rerank",
            {"query": " "},
            400,
            {"query: must not be blank"},
        ),
        (
            "/cohere/v1/rerank",
            {"documents": ["a", {"title": _SECRET}, {"text": 3}, 4], "query": "\t"},
            422,
            {
                "documents[1].text: is required",
                "documents[2].text: must be a string",
                "documents[3]: must be a string or an object",
                "query: must not be blank",
            },
        ),
        (
            "/tei/rerank",
            {"texts": ["a", 3], "raw_scores": "yes", "query": ""},
            422,
            {
                "texts[1]: must be a string",
                "raw_scores: must be true or false",
                "query: must not be blank",
            },
        ),
        (
            "/tei/rerank",
            {"texts": ["a"] * 7 + [_SECRET * 50]},
            422,
            {
                "texts: there are 8, at most 6 are allowed",
                "texts[7]: title and text must have at most 1000 bytes of UTF-8",
            },
        ),
        (
            "/jina/v1/rerank",
            {"model": 3, "documents": "no list", "top_n": -1},
            422,
            {
                "model: must be a string",
                "documents: must be a list",
                "top_n: input should be greater than or equal to 1",
            },
        ),
        (
            "/voyage/v1/rerank",
            {"documents": ["a"] * 7, "query": "\n"},
            400,
            {
                "query: must not be blank",
                "documents: there are 7, at most 6 are allowed",
            },
        ),
        (
            "/v1/rerank",
            {"documents": [None], "top_n": 1.5, "return_documents": 1},
            400,
            {
                "documents[0]: must be a string or an object",
                "top_n: must be a whole number",
                "return_documents: must be true or false",
            },
        ),
    ],
)
async def test_every_violation_is_told_by_the_callers_names(
    scene: Scene, path: str, wrong: dict[str, Any], status: int, said: set[str]
) -> None:
    body = {"query": CAPITAL, **_VALID[path], **wrong}
    response = await scene.post(path, body)

    words = _words(path, response.json())
    assert response.status_code == status
    assert set(words.split("; ")) == said
    assert _SECRET not in words


@pytest.mark.parametrize("path", sorted(_VALID))
async def test_what_is_required_is_missed(scene: Scene, path: str) -> None:
    response = await scene.post(path, {})

    words = _words(path, response.json())
    required = {"query", *_VALID[path]}
    assert {each.partition(": ")[0] for each in words.split("; ")} == required
    assert all(each.endswith("is required") for each in words.split("; "))


@pytest.mark.parametrize("path", sorted(_VALID))
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"text"',
        b'{"query": NaN}',
        b'{"query": "a"} {}',
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b"[" * 5000,
        b'{"query":' * 1500 + b"1" + b"}" * 1500,
    ],
)
async def test_a_body_that_is_no_json_object_is_a_400(
    scene: Scene, path: str, body: bytes
) -> None:
    response = await scene.client.post(
        path, content=body, headers={"Content-Type": "application/json"}
    )

    assert response.status_code == 400
    assert _words(path, response.json()) == "the body must be a JSON object"


@pytest.mark.parametrize("depth", [100, 240, 250, 254, 255, 260, 1000])
async def test_an_object_may_be_deep_or_is_refused(scene: Scene, depth: int) -> None:
    more = b"[" * depth + b"]" * depth
    deep = b'{"text": "%b", "more": %b}' % (DOCUMENTS[0].encode(), more)
    response = await scene.client.post(
        "/cohere/v1/rerank",
        content=b'{"query": "a", "return_documents": true, "documents": [%b]}' % deep,
    )

    assert response.status_code in (200, 400, 422)


@pytest.mark.parametrize("path", sorted(_VALID))
async def test_an_unknown_route_is_a_404(scene: Scene, path: str) -> None:
    response = await scene.post(
        path, {"query": CAPITAL, **_VALID[path]}, {"x-rerank-route": "nowhere"}
    )

    assert response.status_code == 404
    assert _words(path, response.json()) == "there is no route 'nowhere'"


@pytest.mark.parametrize("path", sorted(_VALID))
@pytest.mark.parametrize("told", [True, False], ids=["length", "chunks"])
async def test_a_body_beyond_the_bound_is_a_413(
    scene: Scene, path: str, *, told: bool
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b" " * 1000

    response = await scene.client.post(
        path,
        content=b" " * 30_000 if told else parts(),
        headers={"Content-Type": "application/json"},
    )

    assert response.status_code == 413
    assert _words(path, response.json()) == "the body must have at most 20000 bytes"


@pytest.mark.parametrize("encoding", ["deflate", "gzip", "br", "another"])
async def test_a_compressed_body_is_refused(scene: Scene, encoding: str) -> None:
    small = zlib.compress(b'{"query": "' + b" " * 1_000_000)
    response = await scene.client.post(
        "/tei/rerank",
        content=small,
        headers={"Content-Type": "application/json", "Content-Encoding": encoding},
    )

    assert response.status_code == 415
    assert response.json()["error"] == "the body must not be compressed"


@pytest.mark.parametrize("path", sorted(_VALID))
async def test_another_content_type_is_a_415(scene: Scene, path: str) -> None:
    response = await scene.client.post(path, data={"query": "a"})

    assert response.status_code == 415
    assert _words(path, response.json()) == "the content type must be application/json"


async def test_what_says_no_content_type_is_read_as_json(scene: Scene) -> None:
    response = await scene.client.post(
        "/tei/rerank", content=b'{"query":"a","texts":[]}'
    )

    assert response.request.headers.get("content-type") is None
    assert response.json() == []


async def test_other_methods_and_paths_are_refused(scene: Scene) -> None:
    wrong_method = await scene.client.get("/v1/rerank")
    wrong_path = await scene.client.post("/v3/rerank", json={})

    assert wrong_method.status_code == 405
    assert wrong_method.headers["allow"] == "POST"
    assert wrong_path.status_code == 404
    assert "message" in wrong_path.json()


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-timeout-s", "soon"),
        ("x-timeout-s", "0"),
        ("x-timeout-s", "-1"),
        ("connect-timeout-ms", "1.5"),
        ("connect-timeout-ms", "12345678901"),
        ("grpc-timeout", "5"),
        ("grpc-timeout", "123456789S"),
    ],
)
async def test_a_timeout_that_is_none_is_refused(
    scene: Scene, header: str, value: str
) -> None:
    response = await scene.post(
        "/tei/rerank", {"query": "a", "texts": []}, {header: value}
    )

    assert response.status_code == 422
    assert response.json()["error"].startswith(f"{header}: must be ")


@pytest.mark.parametrize("path", sorted(_VALID))
async def test_beyond_its_bound_the_process_refuses_and_says_when_to_come_again(
    path: str,
) -> None:
    async with facing(hang, server={"max_calls": 1}) as scene:
        body = {"query": CAPITAL, **_VALID[path]}
        first = asyncio.create_task(scene.post(path, body))
        await scene.vendor.until(lambda: scene.vendor.in_progress == 1)
        try:
            second = await scene.post(path, body)
        finally:
            first.cancel()
            await asyncio.wait([first])

    assert second.status_code == 429
    assert second.headers["retry-after"] == "1"
    assert _words(path, second.json()) == "1 calls are in flight"


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async with facing(http={"body_timeout_s": 0.2}) as scene:
        host, _, port = scene.gateway.server.http_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            b"POST /tei/rerank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"query"'
        )
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()

    assert head.startswith(b"HTTP/1.1 408 ")


async def test_a_connection_without_a_request_is_closed() -> None:
    async with facing(http={"idle_timeout_s": 0.2}) as scene:
        host, _, port = scene.gateway.server.http_address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /tei/rerank HTTP/1.1\r\nHost: x\r\nX-Slow: a")
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()


async def test_who_asks_first_whether_to_go_on_is_told(scene: Scene) -> None:
    host, _, port = scene.gateway.server.http_address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = b'{"query": "a", "texts": []}'
    writer.write(
        b"POST /tei/rerank HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    async with asyncio.timeout(PATIENCE_S):
        first = await reader.readuntil(b"\r\n\r\n")
        writer.write(body)
        then = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()

    assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert then.startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_header_beyond_the_bound_is_refused(scene: Scene) -> None:
    try:
        response = await scene.client.get("/health", headers={"x-long": "a" * 40_000})
    except httpx.RemoteProtocolError:
        return
    assert response.status_code == 400
