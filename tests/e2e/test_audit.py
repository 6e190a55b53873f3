"""Who administered, what, and with what outcome: written down, whatever it was."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
)
from tests.e2e.subprocesses import Serving, command, serving

pytestmark = pytest.mark.real_time

_TEXT = "a text that nobody may read in a line"


@asynccontextmanager
async def _audited(folder: Path, where: str, *arguments: str) -> AsyncIterator[Serving]:
    environ = {
        "RERANK_GATEWAY__LOGS__AUDIT": where,
        "RERANK_GATEWAY__LOGS__FORMAT": "json",
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": str(folder / "collections"),
        "RERANK_GATEWAY__EMBEDDER__DIALECT": "none",
    }
    async with serving(*arguments, environ=environ) as server:
        yield server


async def _administer(address: str) -> None:
    """Create, import into, delete from and remove a collection; then check a backend."""
    async with grpc.aio.insecure_channel(address) as channel:
        documents = document_service_pb2_grpc.DocumentServiceStub(channel)
        backends = backend_service_pb2_grpc.BackendServiceStub(channel)
        await documents.CreateCollection(
            document_service_pb2.CreateCollectionRequest(name="papers")
        )
        importing = documents.ImportDocuments()
        for batch in ("1", "2"):
            await importing.write(
                document_service_pb2.ImportDocumentsRequest(
                    collection="papers" if batch == "1" else "",
                    batch_id=batch,
                    documents=[
                        document_pb2.Document(id=f"{batch}{each}", text=_TEXT)
                        for each in range(3)
                    ],
                )
            )
            assert await importing.read() is not grpc.aio.EOF
        await importing.done_writing()
        assert await importing.read() is grpc.aio.EOF
        await documents.DeleteDocuments(
            document_service_pb2.DeleteDocumentsRequest(
                collection="papers", ids=["10", "11"]
            )
        )
        await documents.ListCollections(document_service_pb2.ListCollectionsRequest())
        for name in ("papers", "papers", _TEXT):  # the second and third are not there
            with suppress(grpc.aio.AioRpcError):
                await documents.DeleteCollection(
                    document_service_pb2.DeleteCollectionRequest(name=name)
                )
        await backends.CheckBackend(
            backend_service_pb2.CheckBackendRequest(name="local")
        )


def _noted(lines: str) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    return [line for line in read if line.get("event") == "audit"]


_D = "rerank.v1.DocumentService"
_EXPECTED = [
    (f"{_D}/CreateCollection", "papers", None, "OK"),
    (f"{_D}/ImportDocuments", "papers", 6, "OK"),
    (f"{_D}/DeleteDocuments", "papers", 2, "OK"),
    (f"{_D}/DeleteCollection", "papers", None, "OK"),
    (f"{_D}/DeleteCollection", "papers", None, "NOT_FOUND"),
    (f"{_D}/DeleteCollection", None, None, "NOT_FOUND"),
    ("rerank.v1.BackendService/CheckBackend", "local", None, "OK"),
]


def _told(line: dict[str, Any]) -> tuple[Any, ...]:
    return line["action"], line.get("on"), line.get("count"), line["outcome"]


async def test_what_changes_something_is_written_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    async with _audited(tmp_path, str(file)) as server:
        await _administer(server.address)
        server.send_signal(signal.SIGHUP)
        await server.read_until("says what serves already")
        finished = await server.stop(signal.SIGTERM)
    *calls, reload = _noted(file.read_text())
    assert [_told(line) for line in calls] == _EXPECTED
    for line in calls:
        assert line["peer"].startswith("ipv4:127.0.0.1:")
        assert line["time"].endswith("Z")
    assert (reload["action"], reload["by"]) == ("reload", "SIGHUP")
    assert reload["outcome"] == "UNCHANGED"
    assert _TEXT not in file.read_text() + finished.err
    assert not _noted(finished.err)
    # Others on the machine have no business with it.
    assert file.stat().st_mode & 0o777 == 0o600


async def test_it_is_written_to_standard_error_beside_the_other_lines(
    tmp_path: Path,
) -> None:
    async with _audited(tmp_path, "stderr") as server:
        await _administer(server.address)
        finished = await server.stop(signal.SIGTERM)
    assert [_told(line) for line in _noted(finished.err)] == _EXPECTED


async def test_a_file_that_was_moved_away_is_begun_anew(tmp_path: Path) -> None:
    file, moved = tmp_path / "audit.log", tmp_path / "audit.log.1"
    async with _audited(tmp_path, str(file)) as server:
        server.send_signal(signal.SIGHUP)
        await server.read_until("says what serves already")
        async with asyncio.timeout(30):
            while True:
                if file.exists() and file.read_text():
                    break
                await asyncio.sleep(0.01)
        file.rename(moved)
        server.send_signal(signal.SIGHUP)
        await server.read_until("says what serves already")
        await server.stop(signal.SIGTERM)
    assert len(_noted(moved.read_text())) == 1
    assert len(_noted(file.read_text())) == 1


async def test_what_comes_over_http_is_written_down_as_well(tmp_path: Path) -> None:
    file = tmp_path / "audit.log"
    async with _audited(tmp_path, str(file), "--http-address", "127.0.0.1:0") as server:
        line = json.loads(await server.read_until("the APIs of vendors"))
        url = line["message"].rpartition(" ")[2]
        async with httpx.AsyncClient() as client:
            await client.post(f"{url}/{_D}/CreateCollection", json={"name": "papers"})
            await client.post(f"{url}/{_D}/DeleteCollection", json={"name": "nobody"})
        await server.stop(signal.SIGTERM)
    assert [_told(line) for line in _noted(file.read_text())] == [
        (f"{_D}/CreateCollection", "papers", None, "OK"),
        (f"{_D}/DeleteCollection", "nobody", None, "NOT_FOUND"),
    ]


async def test_a_file_that_cannot_be_written_is_a_reason_not_to_start(
    tmp_path: Path,
) -> None:
    file = tmp_path / "nowhere" / "audit.log"
    finished = await command(
        *("serve", "--address", "127.0.0.1:0"),
        environ={"RERANK_GATEWAY__LOGS__AUDIT": str(file)},
    )
    assert finished.code == 1
    assert finished.err == (
        f"rerank-gateway: logs.audit: {file}: No such file or directory\n"
    )
