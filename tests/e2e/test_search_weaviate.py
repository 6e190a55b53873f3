"""A gateway whose collections are in Weaviate: keys, nodes that are away, nodes that die."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    document_service_pb2,
    execution_pb2,
    search_service_pb2,
)
from tests.e2e.running import Running, rerank_request, running
from tests.support.weaviate_server import (
    Node,
    cluster_of_weaviate,
    one_weaviate,
    settings_of,
    some_prefix,
)
from tests.support.wire import PATIENCE_S, Caller, calling, ids, refused

pytestmark = pytest.mark.real_time

KEY = "open sesame"
Search = search_service_pb2.SearchRequest
State = backend_pb2.BackendState
NO_RERANK = search_service_pb2.RerankOptions(enabled=False)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with one_weaviate(tmp_path_factory.mktemp("weaviate"), key=KEY) as found:
        yield found


@asynccontextmanager
async def gateway_of(
    nodes: Sequence[Node], *, key: str = KEY, **retrieval: Any
) -> AsyncIterator[Running]:
    asked = settings_of(nodes, **{"api_key_env": "CLUSTER_KEY", **retrieval})
    async with running(
        {"retrieval": asked, "embedder": {"dialect": "none"}},
        environ={"CLUSTER_KEY": key},
    ) as gateway:
        yield gateway


async def checked(gateway: Running) -> backend_service_pb2.CheckBackendResponse:
    stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
    request = backend_service_pb2.CheckBackendRequest(name="retrieval")
    return await stub.CheckBackend(request, timeout=20)


def page(name: str, text: str = "a word") -> document_pb2.Document:
    """Make a document, with a vector of its own."""
    place = sum(name.encode())
    return document_pb2.Document(
        id=name, text=text, embedding=[1.0, place % 7 / 7, place % 11 / 11, 0.5]
    )


async def test_two_gateways_share_their_collections(node: Node) -> None:
    prefix = some_prefix()
    async with (
        gateway_of([node], prefix=prefix) as one,
        gateway_of([node], prefix=prefix) as other,
    ):
        await calling(one.channel).create("papers")
        stored = await calling(one.channel).load("papers", [_plain("a")])
        found = await calling(other.channel).find(
            Search(query="word", collection="papers", min_version=stored.version)
        )
        assert ids(found) == ["a"]
        assert found.search_method == "fulltext+rerank"
        gone = await calling(other.channel).delete("papers", "a")
        found = await calling(one.channel).find(
            Search(query="word", collection="papers", min_version=gone)
        )
        assert ids(found) == []


async def test_the_cluster_is_listed_with_its_state(node: Node) -> None:
    async with gateway_of([node]) as gateway:
        stub = backend_service_pb2_grpc.BackendServiceStub(gateway.channel)
        listed = await stub.ListBackends(backend_service_pb2.ListBackendsRequest())
        (cluster,) = [each for each in listed.backends if each.name == "retrieval"]
        assert cluster.dialect == "weaviate"
        assert (await checked(gateway)).state == State.BACKEND_STATE_READY
    async with gateway_of([node], key="another") as gateway:
        found = await checked(gateway)
        assert found.state == State.BACKEND_STATE_MISCONFIGURED
        assert "refuses our key" in found.message
        assert "another" not in found.message
    async with gateway_of([node], api_key_env="NO_KEY") as gateway:
        found = await checked(gateway)
        assert found.state == State.BACKEND_STATE_MISCONFIGURED
        assert "environment variable NO_KEY is not set" in found.message


async def test_a_gateway_serves_without_its_cluster_and_finds_it_later(
    tmp_path: Path,
) -> None:
    with one_weaviate(tmp_path, key=KEY) as node:
        node.kill()
        async with gateway_of([node]) as gateway:
            answer = await gateway.stub.Rerank(rerank_request(3), timeout=30)
            assert len(answer.results) == 3
            assert (await checked(gateway)).state == State.BACKEND_STATE_UNREACHABLE
            caller = calling(gateway.channel)
            asked = Search(query="word", collection="papers")
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await caller.find(asked)
            assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
            assert refused(raised.value).reason == "RETRIEVAL_UNAVAILABLE"
            node.start([node])
            await asyncio.to_thread(node.until_ready)
            await caller.create("papers")
            await caller.load("papers", [_plain("a")])
            assert ids(await caller.find(asked)) == ["a"]


def _plain(name: str) -> document_pb2.Document:
    return document_pb2.Document(id=name, text="a word")


# Three nodes, of which one dies


@dataclass(slots=True)
class Load:
    """Whoever searches and writes all the time, and what they have seen."""

    caller: Caller
    stored: dict[str, int] = field(default_factory=dict)
    """By id: the version that was answered when it was stored."""
    removed: set[str] = field(default_factory=set)
    searches: int = 0
    problems: list[str] = field(default_factory=list)
    over: bool = False

    async def write(self, who: str) -> None:
        """Store one document after the other, look for it, and remove every third."""
        count = 0
        while not self.over:
            name = f"{who}{count}"
            count += 1
            text = f"a word {name}"
            # As long as the gateway itself gives a write.
            answer = await self.caller.load("papers", [page(name, text)], within_s=60)
            self.stored[name] = answer.version
            await self.look(name, answer.version, there=True)
            if count % 3 == 0:
                version = await self.caller.delete("papers", name)
                self.removed.add(name)
                await self.look(name, version, there=False)

    async def look(self, name: str, version: int, *, there: bool) -> None:
        """Search with both legs, and notice whatever is not as it should be."""
        found = await self.caller.find(
            Search(
                query=name,
                embedding=page(name).embedding,
                collection="papers",
                min_version=version,
                rerank=NO_RERANK,
                limit=5,
            )
        )
        self.searches += 1
        if found.search_method != "rrf_hybrid":
            self.problems.append(f"{name}: {found.search_method}")
        if found.execution.outcome != execution_pb2.OUTCOME_NOT_REQUESTED:
            self.problems.append(f"{name}: {found.execution}")
        # Of its own word there is no other document.
        first = ids(found)[:1]
        if there and first != [name]:
            self.problems.append(f"{name} was stored, and is not found: {ids(found)}")
        if not there and name in ids(found):
            self.problems.append(f"{name} was removed, and is found")

    @property
    def left(self) -> set[str]:
        return set(self.stored) - self.removed

    async def until(self, more: int) -> None:
        """Wait for so many more searches."""
        wanted = self.searches + more
        while self.searches < wanted:  # noqa: ASYNC110 - four tasks count
            await asyncio.sleep(0.01)


@asynccontextmanager
async def under_load(gateway: Running) -> AsyncIterator[Load]:
    caller = calling(gateway.channel)
    await caller.documents.CreateCollection(
        document_service_pb2.CreateCollectionRequest(
            name="papers", embedding_dimension=4
        ),
        timeout=PATIENCE_S,
    )
    load = Load(caller)
    async with asyncio.TaskGroup() as group:
        for who in "abcd":
            group.create_task(load.write(who))
        try:
            yield load
        finally:
            load.over = True


@pytest.mark.parametrize("dies", ["the one that is asked", "another one"])
async def test_a_node_dies_under_load_and_nobody_notices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    # The gateway asks the first one.
    monkeypatch.setattr("random.randrange", lambda _: 0)
    with cluster_of_weaviate(tmp_path, count=3) as nodes:
        victim = nodes[0] if dies == "the one that is asked" else nodes[1]
        async with gateway_of(
            nodes, key="", api_key_env="", replication_factor=3
        ) as gateway:
            async with asyncio.timeout(240), under_load(gateway) as load:
                await load.until(100)
                victim.kill()
                await load.until(300)
                victim.start(nodes)
                await asyncio.to_thread(victim.until_ready)
                await load.until(100)
            assert not load.problems
            left = load.left
            assert await listed(gateway) == left
        if dies == "the one that is asked":
            return
        # What it missed it learns, deletions included.
        async with gateway_of([victim], key="", api_key_env="") as alone:
            async with asyncio.timeout(90):
                while await listed(alone) != left:  # noqa: ASYNC110 - a cluster knows
                    await asyncio.sleep(0.2)
            caught_up = Load(calling(alone.channel))
            for name in sorted(left):
                await caught_up.look(name, 0, there=True)
            assert not caught_up.problems


async def listed(gateway: Running) -> set[str]:
    """Name every document of the collection."""
    found: set[str] = set()
    token = ""
    documents = calling(gateway.channel).documents
    while True:
        answer = await documents.ListDocuments(
            document_service_pb2.ListDocumentsRequest(
                collection="papers", page_token=token
            ),
            timeout=PATIENCE_S,
        )
        found |= {each.id for each in answer.documents}
        token = answer.next_page_token
        if not token:
            return found
