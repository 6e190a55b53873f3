"""Clusters over TLS: whom we take for theirs, who gets nothing, and that it is told why."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.transport import Pool
from gateway.retrieval.errors import EngineFailed
from gateway.retrieval.qdrant.connecting import client
from gateway.retrieval.qdrant.engine import QdrantRetriever
from gateway.retrieval.qdrant.place import locate as locate_qdrant
from gateway.retrieval.retriever import Retriever
from gateway.retrieval.weaviate.connecting import Node as Reached
from gateway.retrieval.weaviate.engine import WeaviateRetriever
from gateway.retrieval.weaviate.nodes import Nodes
from gateway.retrieval.weaviate.place import locate
from tests.retrieval import qdrants, weaviates
from tests.retrieval.contract import FIELDS, ask, document, ids
from tests.support.identities import Authority, Files
from tests.support.qdrant_server import qdrant_server
from tests.support.relay import Relay
from tests.support.trusting import trusting
from tests.support.weaviate_server import Node, one_weaviate, some_prefix

pytestmark = pytest.mark.real_time

KEY = "open sesame"
ENGINES = ("qdrant", "weaviate")


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with one_weaviate(tmp_path_factory.mktemp("weaviate"), key=KEY) as found:
        yield found


@pytest.fixture
def authority(tmp_path: Path) -> Iterator[Authority]:
    """Make one that the operator names."""
    made = Authority(tmp_path)
    with trusting(made.file):
        yield made


class Behind:
    """A cluster of one of the engines, behind what ends TLS before it.

    Args:
        engine: Which.
        folder: Where Qdrant has its collections.
        node: Of Weaviate.

    """

    def __init__(self, engine: str, folder: Path, node: Node) -> None:
        self._engine = engine
        self._folder = folder
        self._node = node

    @asynccontextmanager
    async def __call__(
        self, shows: Files | None, *, grpc_shows: Files | None = None
    ) -> AsyncIterator[tuple[Retriever, list[Relay]]]:
        """Ask it over TLS; give what stands before it, gRPC last.

        Args:
            shows: Its certificate; None: it speaks no TLS.
            grpc_shows: That of gRPC, if it is another one.

        """
        grpc_shows = grpc_shows or shows
        if self._engine == "qdrant":
            async with (
                qdrant_server(self._folder) as server,
                Relay(server.address, shows=grpc_shows) as relay,
            ):
                server.key = KEY
                place = locate_qdrant(f"https://{relay.address}")
                qdrant = QdrantRetriever(
                    client(place, key=KEY, longest_s=20.0), qdrants.CLUSTER
                )
                yield qdrant, [relay]
                await qdrant.close()
            return
        ports = self._node.ports
        async with (
            Relay(f"127.0.0.1:{ports['http']}", shows=shows) as rest,
            Relay(f"127.0.0.1:{ports['grpc']}", shows=grpc_shows) as grpc,
        ):
            places = locate([f"https://{rest.address}"], [f"https://{grpc.address}"])
            weaviate = WeaviateRetriever(
                Nodes([Reached(each) for each in places], Pool(), key=KEY),
                replace(weaviates.CLUSTER, prefix=some_prefix()),
            )
            yield weaviate, [rest, grpc]
            await weaviate.close()


@pytest.fixture(params=ENGINES)
def behind(request: pytest.FixtureRequest, tmp_path: Path, node: Node) -> Behind:
    folder = tmp_path / "qdrant"
    folder.mkdir()
    return Behind(request.param, folder, node)


async def make_books(engine: Retriever) -> int:
    await engine.create_collection(
        "books", fields=FIELDS, dimension=4, embedder="model-a"
    )
    return await engine.upsert("books", [document("a", "x")], embedder="")


async def test_who_is_vouched_for_is_asked(
    behind: Behind, authority: Authority
) -> None:
    async with behind(authority.signed("cluster")) as (engine, relays):
        version = await make_books(engine)
        found = await ask(engine, "x", to="a", min_version=version)
        assert ids(found.bm25) == ids(found.vector) == ["a"]
        assert all(each.heard for each in relays)


@pytest.mark.usefixtures("authority")
@pytest.mark.parametrize("name", ["authority", "stranger"])
async def test_who_is_not_is_told_nothing(
    behind: Behind, tmp_path: Path, name: str
) -> None:
    """Also where it calls itself what the right one is called."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", name)
    async with behind(other.signed("cluster")) as (engine, relays):
        with pytest.raises(EngineFailed, match="cannot prove who it is"):
            await engine.collections()
        with pytest.raises(EngineFailed, match="cannot prove who it is"):
            await make_books(engine)
        assert not any(each.heard for each in relays)


async def test_who_has_another_name_is_told_nothing(
    behind: Behind, authority: Authority
) -> None:
    shows = authority.signed("cluster", domain="elsewhere.example")
    async with behind(shows) as (engine, relays):
        with pytest.raises(EngineFailed, match="cannot prove who it is"):
            await engine.collections()
        assert not any(each.heard for each in relays)


async def test_nobody_vouches_for_whom_the_operator_does_not_name(
    behind: Behind, tmp_path: Path
) -> None:
    """Otherwise our list is that of browsers."""
    with trusting(None):
        await told_nothing(behind, tmp_path)


async def told_nothing(behind: Behind, tmp_path: Path) -> None:
    async with behind(Authority(tmp_path).signed("cluster")) as (engine, relays):
        with pytest.raises(EngineFailed, match="cannot prove who it is"):
            await engine.collections()
        assert not any(each.heard for each in relays)


async def test_over_tls_nothing_is_said_in_the_open(behind: Behind) -> None:
    async with behind(None) as (engine, relays):
        with pytest.raises(EngineFailed, match="cannot be reached"):
            await engine.collections()
        heard = relays[0].heard
        # Whoever listens there is greeted in TLS, and told no more.
        assert heard.startswith(b"\x16\x03")
        assert KEY.encode() not in heard


async def test_each_of_the_two_protocols_has_to_prove_it(
    node: Node, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    behind = Behind("weaviate", tmp_path, node)
    async with behind(authority.signed("rest"), grpc_shows=other.signed("grpc")) as (
        engine,
        (rest, grpc),
    ):
        with pytest.raises(EngineFailed, match="cannot prove who it is"):
            await make_books(engine)
        assert f"Bearer {KEY}".encode() in rest.heard
        assert not grpc.heard
