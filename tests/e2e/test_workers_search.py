"""Several workers over one store: one of them writes, whichever is asked."""

import os
import signal
from pathlib import Path

import grpc
import pytest

from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    document_service_pb2_grpc,
    search_service_pb2,
    search_service_pb2_grpc,
)
from tests.e2e.workers import COUNT, several, to_each, worker_processes

pytestmark = pytest.mark.real_time

_PATIENCE_S = 40.0


async def _store(channel: grpc.aio.Channel, name: str) -> int:
    stub = document_service_pb2_grpc.DocumentServiceStub(channel)
    batch = document_service_pb2.ImportDocumentsRequest(
        documents=[document_pb2.Document(id=name, text=f"all about {name}")]
    )
    (answer,) = [
        each async for each in stub.ImportDocuments(iter([batch]), timeout=_PATIENCE_S)
    ]
    assert answer.accepted_count == 1
    version: int = answer.version
    return version


async def _found(channel: grpc.aio.Channel, name: str, version: int) -> list[str]:
    stub = search_service_pb2_grpc.SearchServiceStub(channel)
    response = await stub.Search(
        search_service_pb2.SearchRequest(
            query=name,
            min_version=version,
            rerank=search_service_pb2.RerankOptions(enabled=False),
        ),
        timeout=_PATIENCE_S,
    )
    return [each.id for each in response.results]


async def test_all_import_and_search_also_when_the_one_that_writes_is_killed(
    tmp_path: Path,
) -> None:
    environ = {
        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
        "RERANK_GATEWAY__RETRIEVAL__PATH": str(tmp_path / "store"),
        "RERANK_GATEWAY__EMBEDDER__DIALECT": "none",
    }
    stored = 0
    async with several(environ=environ) as server:

        async def import_and_search_through_each() -> None:
            nonlocal stored
            async with to_each(server) as channels:
                for through in channels.values():
                    stored += 1
                    name = f"subject{stored}"
                    version = await _store(through, name)
                    for channel in channels.values():
                        assert await _found(channel, name, version) == [name]

        await import_and_search_through_each()
        # One of them writes; each is killed in its turn, and the other one goes on alone.
        for place in range(COUNT):
            async with to_each(server) as channels:
                os.kill(worker_processes(server)[place], signal.SIGKILL)
                await server.read_until(f"worker {place} was ended by SIGKILL")
                left = channels[1 - place]
                version = await _store(left, f"without{place}")
                assert await _found(left, f"without{place}", version) == [
                    f"without{place}"
                ]
            await server.read_until(f"worker {place} serves in its place")
        await import_and_search_through_each()
        finished = await server.stop(signal.SIGTERM)

    assert stored == 2 * COUNT
    assert finished.code == 0
    assert "Traceback" not in finished.err
