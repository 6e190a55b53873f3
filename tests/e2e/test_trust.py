"""Whom the gateway trusts: backends that can prove who they are, and nobody's redirect."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    execution_pb2,
)
from tests.e2e.running import KEY_VARIABLE, rerank_request, running
from tests.support.tei_server import certificate
from tests.support.trusting import trusting

pytestmark = pytest.mark.real_time


@dataclass(slots=True)
class Impostor:
    """Listens where a backend should, with a certificate that nobody signed."""

    url: str
    connections: int = 0
    read: bytes = b""


@asynccontextmanager
async def impostor(files: tuple[Path, Path]) -> AsyncIterator[Impostor]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)

    async def answer(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        seen.connections += 1
        seen.read += await reader.readuntil(b"\r\n\r\n")
        scores = b'[{"index":0,"score":1.0},{"index":1,"score":0.5}]'
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json"
        size = str(len(scores)).encode()
        writer.write(head + b"\r\nContent-Length: " + size + b"\r\n\r\n" + scores)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        seen = Impostor(f"https://127.0.0.1:{port}")
        yield seen


def backend(url: str) -> dict[str, object]:
    return {
        "backends": {
            "tei": {"dialect": "tei", "url": url, "api_key_env": KEY_VARIABLE}
        },
        "routes": {"default": {"backends": ["tei"]}},
    }


async def test_a_backend_that_nobody_vouches_for_is_told_nothing(
    tmp_path: Path,
) -> None:
    async with (
        impostor(certificate(tmp_path)) as server,
        running(backend(server.url)) as gateway,
    ):
        response = await gateway.stub.Rerank(rerank_request(2), timeout=20)

    assert [result.index for result in response.results] == [0, 1]
    assert response.execution.fallback_reason == (
        execution_pb2.FALLBACK_REASON_UNAVAILABLE
    )
    assert (server.connections, server.read) == (0, b"")


async def test_the_same_backend_is_asked_where_somebody_does(tmp_path: Path) -> None:
    """So that it is the certificate that keeps it away above."""
    files = certificate(tmp_path)
    with trusting(files[0]):
        async with (
            impostor(files) as server,
            running(backend(server.url)) as gateway,
        ):
            response = await gateway.stub.Rerank(rerank_request(2), timeout=20)

    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert b"authorization: bearer" in server.read.lower()


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "grpcs://127.0.0.1:1"])
async def test_where_nobody_can_be_trusted_no_backend_is_asked(
    tmp_path: Path, url: str
) -> None:
    """Not even those that the list of browsers would let in."""
    raw = backend(url)
    if url.startswith("grpcs"):
        raw["backends"] = {"tei": {"dialect": "tei-grpc", "url": url}}
    with trusting(tmp_path / "mistyped.pem"):
        async with running(raw) as gateway:
            stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
            request = backend_service_pb2.CheckBackendRequest(name="tei")
            told = await stub.CheckBackend(request, timeout=20)
    assert told.state == backend_pb2.BackendState.BACKEND_STATE_MISCONFIGURED
    assert "SSL_CERT_FILE: cannot read" in told.message


@pytest.mark.parametrize("engine", ["qdrant", "weaviate"])
async def test_nor_is_a_cluster(tmp_path: Path, engine: str) -> None:
    raw = {"retrieval": {"engine": engine, "url": "https://127.0.0.1:1"}}
    with trusting(tmp_path / "mistyped.pem"):
        async with running(raw) as gateway:
            stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
            request = backend_service_pb2.CheckBackendRequest(name="retrieval")
            told = await stub.CheckBackend(request, timeout=20)
    assert told.state == backend_pb2.BackendState.BACKEND_STATE_MISCONFIGURED
    assert "SSL_CERT_FILE: cannot read" in told.message


async def test_callers_are_served_on_this_machine_alone_unless_it_is_said() -> None:
    async with running({}) as gateway:
        host, _, port = gateway.address.rpartition(":")
        assert host == "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.2", int(port))
