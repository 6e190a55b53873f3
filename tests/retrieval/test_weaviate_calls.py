"""Who is asked when a node fails, what its failures are to us, and how names are mapped."""

import asyncio
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.retrieval.errors import (
    AccessRefused,
    CollectionExists,
    EngineFailed,
    InvalidPage,
    UnknownCollection,
)
from gateway.retrieval.retriever import Leg
from gateway.retrieval.weaviate.engine import WeaviateRetriever
from gateway.retrieval.weaviate.naming import class_of, name_of
from gateway.retrieval.weaviate.place import Place, locate
from tests.retrieval.contract import FIELDS, ask, document, ids
from tests.retrieval.weaviates import reached
from tests.support.weaviate_server import Node, one_weaviate, some_prefix

pytestmark = pytest.mark.real_time

KEY = "open sesame"


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with one_weaviate(tmp_path_factory.mktemp("weaviate"), key=KEY) as found:
        yield found


async def make_books(engine: WeaviateRetriever) -> int:
    await engine.create_collection(
        "books", fields=FIELDS, dimension=4, embedder="model-a"
    )
    return await engine.upsert("books", [document("a", "x")], embedder="")


def nobody(node: Node) -> Node:
    """Give a node at whose ports nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return replace(node, ports=dict.fromkeys(node.ports, port))


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process begin with the first node."""
    monkeypatch.setattr("random.randrange", lambda _: 0)


@pytest.mark.usefixtures("first")
async def test_another_node_is_asked_where_one_is_away(node: Node) -> None:
    prefix = some_prefix()
    async with reached([nobody(node), node], key=KEY, prefix=prefix) as engine:
        version = await make_books(engine)
        found = await ask(engine, "x", to="a", min_version=version)
        assert ids(found.bm25) == ids(found.vector) == ["a"]
        assert engine._calls._nodes._at == 1
    async with reached([nobody(node)], key=KEY) as engine:
        with pytest.raises(EngineFailed, match="cannot be reached"):
            await engine.collections()


async def test_one_that_says_nothing_has_its_time(tmp_path: Path) -> None:
    with one_weaviate(tmp_path) as node:
        async with reached([node], read_s=0.3, write_s=0.3) as engine:
            async with reached([node]) as patient:
                await make_books(patient)
            await engine.shape("books")
            node.freeze()
            assert isinstance((await ask_now(engine)).failure, EngineFailed)
            with pytest.raises(EngineFailed, match="did not answer"):
                await engine.upsert("books", [document("b", "x")], embedder="")
            searching = asyncio.create_task(
                engine.get("books", ["a"], with_vectors=False)
            )
            await asyncio.sleep(0)
            searching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await searching
            node.thaw()


async def ask_now(engine: WeaviateRetriever) -> Leg:
    """Ask for one leg, and for nothing before it."""
    return await engine._legs.bm25("books", "x", 10, None)


async def test_the_key_goes_with_every_call(node: Node) -> None:
    async with reached([node], key=KEY, prefix=some_prefix()) as engine:
        await make_books(engine)
    for key in ("wrong", ""):
        async with reached([node], key=key) as engine:
            with pytest.raises(AccessRefused, match="refuses our key") as raised:
                await engine.collections()
            assert "wrong" not in str(raised.value)
            assert isinstance((await ask_now(engine)).failure, AccessRefused)


async def test_others_have_collections_there_too(node: Node) -> None:
    one, other = some_prefix(), some_prefix()
    async with (
        reached([node], key=KEY, prefix=one) as engine,
        reached([node], key=KEY, prefix=other) as another,
    ):
        await make_books(engine)
        await make_books(another)
        asked = engine._calls._nodes
        await asked.rest(
            asked._nodes[0],
            "POST",
            "/v1/schema",
            body=f'{{"class": "{one}theirs"}}'.encode(),
            read=False,
        )
        assert [each.name for each in await engine.collections()] == ["books"]
        with pytest.raises(UnknownCollection):
            await engine.shape("theirs")
        with pytest.raises(CollectionExists):
            await engine.create_collection(
                "theirs", fields=(), dimension=0, embedder=""
            )


async def test_versions_only_grow_whatever_the_clocks_say(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = some_prefix()
    async with (
        reached([node], key=KEY, prefix=prefix) as one,
        reached([node], key=KEY, prefix=prefix) as other,
    ):
        first = await make_books(one)
        monkeypatch.setattr("time.time_ns", lambda: 1000)
        second = await other.upsert("books", [document("b", "x")], embedder="")
        assert second == first + 1
        at_once = await asyncio.gather(
            *(
                engine.upsert("books", [document(f"c{number}", "x")], embedder="")
                for number, engine in enumerate([one, other] * 12)
            )
        )
        described = await one.collection("books")
        assert described.version >= max(at_once) > second
        # Marks of both are there, and are no documents.
        assert described.document_count == 26
        page = await one.page("books", after="", count=100, with_vectors=False)
        assert len(page.documents) == 26


async def test_a_collection_made_anew_elsewhere_is_seen(node: Node) -> None:
    prefix = some_prefix()
    async with (
        reached([node], key=KEY, prefix=prefix) as one,
        reached([node], key=KEY, prefix=prefix) as other,
    ):
        await make_books(one)
        await ask(one, "x")
        await other.delete_collection("books")
        assert isinstance((await ask_now(one)).failure, UnknownCollection)
        with pytest.raises(UnknownCollection):
            await one.upsert("books", [document("a", "x")], embedder="")


@pytest.mark.parametrize("after", ["nonsense", "1"])
async def test_a_page_begins_only_where_one_can(node: Node, after: str) -> None:
    async with reached([node], key=KEY, prefix=some_prefix()) as engine:
        await make_books(engine)
        with pytest.raises(InvalidPage):
            await engine.page("books", after=after, count=1, with_vectors=False)


@pytest.mark.parametrize(
    ("name", "prefix", "named"),
    [("books", "", "Books"), ("books", "A_", "A_books"), ("b", "", "B")],
)
def test_names_are_mapped_and_back(name: str, prefix: str, named: str) -> None:
    assert class_of(name, prefix) == named
    assert name_of(named, prefix) == name


def test_what_is_none_of_ours_has_no_name() -> None:
    assert name_of("BooksOfOthers", "") is None
    assert name_of("B_books", "A_") is None
    assert name_of("A_", "A_") is None


def test_nodes_are_named_by_urls() -> None:
    assert locate(["http://a:8080/", "https://[::1]"], []) == (
        Place("http://a:8080", "a:50051", secure=False),
        Place("https://[::1]", "[::1]:50051", secure=True),
    )
    assert locate(["https://a/rest"], ["https://grpc-a:443"]) == (
        Place("https://a/rest", "grpc-a:443", secure=True),
    )
