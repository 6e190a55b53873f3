"""A gateway whose collections are in a cluster: who is told what when that is away."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    search_service_pb2,
)
from tests.e2e.running import Running, rerank_request, running
from tests.support.qdrant_server import qdrant_server
from tests.support.wire import calling, ids, refused

pytestmark = pytest.mark.real_time

Search = search_service_pb2.SearchRequest
State = backend_pb2.BackendState


@asynccontextmanager
async def gateway_of(address: str, **retrieval: str) -> AsyncIterator[Running]:
    asked = {"engine": "qdrant", "url": f"http://{address}", **retrieval}
    async with running(
        {"retrieval": asked, "embedder": {"dialect": "none"}},
        environ={"CLUSTER_KEY": "open sesame"},
    ) as gateway:
        yield gateway


async def checked(gateway: Running) -> backend_service_pb2.CheckBackendResponse:
    stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
    request = backend_service_pb2.CheckBackendRequest(name="retrieval")
    return await stub.CheckBackend(request, timeout=20)


async def test_two_gateways_share_their_collections(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        gateway_of(server.address) as one,
        gateway_of(server.address) as other,
    ):
        await calling(one.channel).create("papers")
        document = document_pb2.Document(id="a", text="a word")
        stored = await calling(one.channel).load("papers", [document])
        found = await calling(other.channel).find(
            Search(query="word", collection="papers", min_version=stored.version)
        )
        assert ids(found) == ["a"]
        assert found.search_method == "fulltext+rerank"


async def test_the_cluster_is_listed_with_its_state(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server:
        address = server.address
        async with gateway_of(address) as gateway:
            stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
            listed = await stub.ListBackends(backend_service_pb2.ListBackendsRequest())
            (cluster,) = [each for each in listed.backends if each.name == "retrieval"]
            assert cluster.dialect == "qdrant"
            assert (await checked(gateway)).state == State.BACKEND_STATE_READY
            server.key = "another"
            found = await checked(gateway)
            assert found.state == State.BACKEND_STATE_MISCONFIGURED
            assert "refuses our key" in found.message
    async with gateway_of(address) as gateway:
        found = await checked(gateway)
        assert found.state == State.BACKEND_STATE_UNREACHABLE


async def test_a_gateway_serves_without_its_cluster_and_finds_it_later(
    tmp_path: Path,
) -> None:
    async with qdrant_server(tmp_path) as server:
        address = server.address
    async with gateway_of(address) as gateway:
        answer = await gateway.stub.Rerank(rerank_request(3), timeout=30)
        assert len(answer.results) == 3
        caller = calling(gateway.channel)
        asked = Search(query="word", collection="papers")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await caller.find(asked)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert refused(raised.value).reason == "RETRIEVAL_UNAVAILABLE"
        async with qdrant_server(tmp_path, address=address):
            await caller.create("papers")
            await caller.load("papers", [document_pb2.Document(id="a", text="word")])
            assert ids(await caller.find(asked)) == ["a"]


async def test_a_key_that_is_missing_is_told(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server:
        server.key = "open sesame"
        async with gateway_of(server.address, api_key_env="CLUSTER_KEY") as gateway:
            await calling(gateway.channel).create("papers")
        async with gateway_of(server.address, api_key_env="NO_KEY") as gateway:
            found = await checked(gateway)
            assert found.state == State.BACKEND_STATE_MISCONFIGURED
            assert "environment variable NO_KEY is not set" in found.message
