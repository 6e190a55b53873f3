"""What a caller sends, and what a backend says, is in no log and in no error."""

import asyncio
import logging

import pytest

from gateway.logs import EventLog
from gateway.settings import LogSettings
from tests.e2e.running import KEY
from tests.e2e.vendor import reply
from tests.faces.asking import PATIENCE_S, Scene, facing

pytestmark = pytest.mark.real_time

_QUERY = "query-of-a-caller-5d1"
_TEXT = "text-of-a-caller-7e2"
_NAME = "name-of-a-field-4c3"
_HEADER = "header-of-a-caller-8f4"
_BACKEND = "words-of-a-backend-2a5"
_SECRETS = (_QUERY, _TEXT, _NAME, _HEADER, _BACKEND, KEY)

_PATHS = [
    "/cohere/v1/rerank",
    "/cohere/v2/rerank",
    "/jina/v1/rerank",
    "/tei/rerank",
    "/voyage/v1/rerank",
    "/v1/rerank",
    "/rerank.v1.RerankService/Rerank",
]
_WRONG: list[dict[str, object]] = [
    {"documents": [_TEXT], "texts": [_TEXT]},
    {"documents": [3, {_NAME: _TEXT}], "texts": [_TEXT, None], "top_n": _TEXT},
    {"documents": {_NAME: _TEXT}, "texts": {_NAME: _TEXT}, "model": {_TEXT: 1}},
    {"documents": [{"text": {"a": _TEXT}}], "texts": [[_TEXT]], "top_k": _TEXT},
    {"query": _TEXT * 20_000, "documents": [_TEXT], "texts": [_TEXT]},
]


def _logged(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Give the lines of the gateway's side; those of the client quote what it sends."""
    ours = [each for each in caplog.records if not each.name.startswith("http")]
    assert not [each for each in ours if each.exc_info]
    return [each.getMessage() for each in ours]


async def _errors(scene: Scene, path: str) -> list[str]:
    """Do everything wrong, and give what is said about it."""
    headers = {"authorization": f"Bearer {_HEADER}", "x-rerank-caller": f"a {_HEADER}"}
    said = []
    for body in _WRONG:
        for policy in ("error", "keep_order"):
            response = await scene.post(
                path,
                {"query": _QUERY, "model": "x", **body},
                {**headers, "x-failure-policy": policy},
            )
            said += [f"{name}: {value}" for name, value in response.headers.items()]
            if response.status_code != 200:
                said.append(response.text)
    for sent in (
        f'{{"query": "{_QUERY}", "documents": ["{_TEXT}"'.encode(),
        f'"{_TEXT}"'.encode(),
        b"\xff" + _TEXT.encode(),
    ):
        response = await scene.client.post(path, content=sent, headers=headers)
        assert response.status_code >= 400
        said.append(response.text)
    return said


@pytest.mark.parametrize("path", _PATHS)
async def test_nothing_of_a_call_is_told(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    down = reply(500, _BACKEND.encode())
    backend = {"api_key_env": "VENDOR_KEY"}
    emit = EventLog(LogSettings())
    async with facing(down, backend=backend, emit=emit) as scene:
        said = await _errors(scene, path)

    told = "\n".join([*said, *_logged(caplog)])
    assert "Rerank over " in told
    assert [secret for secret in _SECRETS if secret in told] == []


async def test_what_is_no_http_is_quoted_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    said = b""
    async with facing() as scene:
        host, _, port = scene.gateway.server.http_address.rpartition(":")
        for sent in (
            f"{_TEXT} / HTTP/1.1\r\n\r\n",
            f"GET /{_TEXT} HTTP/1.1\r\n{_TEXT}\r\n\r\n",
            f"POST /tei/rerank HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{_TEXT}\r\n",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(sent.encode())
            async with asyncio.timeout(PATIENCE_S):
                said += await reader.read()
            writer.close()
            await writer.wait_closed()

    assert said.count(b" 400 Bad Request\r\n") == 3
    assert _TEXT not in said.decode() + "\n".join(_logged(caplog))
