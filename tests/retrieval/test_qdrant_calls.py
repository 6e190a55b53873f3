"""What is asked of a cluster, and what its failures are to us."""

import asyncio
from pathlib import Path

import grpc
import pytest
from qdrant_client import AsyncQdrantClient, models
from qdrant_client import grpc as wire

from gateway.retrieval.errors import (
    AccessRefused,
    CollectionExists,
    EngineFailed,
    InvalidPage,
    RetrieverError,
    StoreFull,
    UnknownCollection,
    VersionNotReached,
)
from gateway.retrieval.qdrant.connecting import client
from gateway.retrieval.qdrant.engine import QdrantRetriever
from gateway.retrieval.qdrant.place import Place, locate
from gateway.retrieval.retriever import Document
from tests.retrieval.contract import FIELDS, ask, document, ids, pointing
from tests.retrieval.qdrants import CLUSTER, reached
from tests.support.qdrant_server import QdrantServer, qdrant_server

pytestmark = pytest.mark.real_time

_CODES = grpc.StatusCode


def searches(server: QdrantServer) -> int:
    return sum(isinstance(each, wire.QueryPoints) for each in server.asked)


async def make_books(engine: QdrantRetriever) -> int:
    await engine.create_collection(
        "books", fields=FIELDS, dimension=4, embedder="model-a"
    )
    return await engine.upsert("books", [document("a", "x")], embedder="")


async def test_a_collection_is_made_as_the_configuration_says(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(
            server.address,
            prefix="mine-",
            shard_number=3,
            replication_factor=2,
            write_consistency_factor=1,
        ) as engine,
    ):
        await make_books(engine)
        made = server.last(wire.CreateCollection)
        assert made.collection_name == "mine-books"
        assert (made.shard_number, made.replication_factor) == (3, 2)
        assert made.write_consistency_factor == 1
        indexed = [
            each.field_name
            for each in server.asked
            if isinstance(each, wire.CreateFieldIndexCollection)
        ]
        assert indexed == [
            *("fields.language", "order.language[0]", "fields.pages"),
            *("order.price[0]", "fields.free", "fields.printed"),
        ]
        stored = server.last(wire.UpsertPoints)
        assert stored.wait
        assert stored.ordering.type == wire.WriteOrderingType.Medium


async def test_others_have_collections_there_too(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as engine,
        reached(server.address, prefix="test-") as other,
    ):
        await make_books(engine)
        await make_books(other)
        host, _, port = server.address.partition(":")
        theirs = AsyncQdrantClient(
            host=host, grpc_port=int(port), prefer_grpc=True, check_compatibility=False
        )
        for name in ("theirs", "test-theirs"):
            await theirs.create_collection(
                name,
                vectors_config={
                    "v": models.VectorParams(size=2, distance=models.Distance.DOT)
                },
            )
        await theirs.close()
        for each in (engine, other):
            assert [one.name for one in await each.collections()] == ["books"]
            with pytest.raises(UnknownCollection):
                await each.shape("theirs")
            with pytest.raises(UnknownCollection):
                await each.delete_collection("theirs")
            with pytest.raises(CollectionExists):
                await each.create_collection(
                    "theirs", fields=(), dimension=0, embedder=""
                )
        assert "theirs" in server.names()


async def test_a_search_that_names_a_version_asks_more_than_one_replica(
    tmp_path: Path,
) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as engine,
        reached(server.address, read_consistency="all") as careful,
    ):
        version = await make_books(engine)
        await ask(engine, "x")
        assert not server.last(wire.QueryPoints).HasField("read_consistency")
        await ask(engine, "x", min_version=version)
        consistency = server.last(wire.QueryPoints).read_consistency.type
        assert consistency == wire.ReadConsistencyType.Quorum
        await ask(careful, "x")
        consistency = server.last(wire.QueryPoints).read_consistency.type
        assert consistency == wire.ReadConsistencyType.All


async def test_gateways_see_what_each_other_writes(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as one,
        reached(server.address) as other,
    ):
        await make_books(one)
        versions = [
            await engine.upsert("books", [document(f"a{number}", "x")], embedder="")
            for number, engine in enumerate([one, other] * 5)
        ]
        assert versions == sorted(set(versions))
        for engine in (one, other):
            found = await ask(engine, "x", min_version=versions[-1])
            assert found.version == versions[-1]
            assert len(ids(found.bm25)) == 10


async def test_versions_only_grow_whatever_the_clocks_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as one,
        reached(server.address) as other,
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
        assert (await one.collection("books")).version >= max(at_once) > second
        found = await ask(other, "x", min_version=max(at_once))
        assert len(ids(found.bm25)) == 10


async def test_a_version_of_another_gateway_is_waited_for(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        version = await make_books(engine)
        with pytest.raises(VersionNotReached) as raised:
            await ask(engine, "x", min_version=version + 1)
        assert raised.value.version == version


async def test_a_collection_made_anew_elsewhere_is_seen(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as one,
        reached(server.address) as other,
    ):
        before = await make_books(one)
        await ask(one, "x")
        await other.delete_collection("books")
        with pytest.raises(UnknownCollection):
            await ask(one, "x")
        await other.create_collection("books", fields=(), dimension=0, embedder="")
        version = await one.upsert("books", [Document("a", "", "y", None)], embedder="")
        assert version > before


async def test_the_key_goes_with_every_call(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server:
        server.key = "open sesame"
        async with reached(server.address, key="open sesame") as engine:
            await make_books(engine)
        async with reached(server.address, key="wrong") as engine:
            with pytest.raises(AccessRefused, match="refuses our key") as raised:
                await engine.collections()
            assert "wrong" not in str(raised.value)


@pytest.mark.parametrize(
    ("code", "details", "kind"),
    [
        (_CODES.UNAUTHENTICATED, "", AccessRefused),
        (_CODES.PERMISSION_DENIED, "Global access is required", AccessRefused),
        (_CODES.NOT_FOUND, "Collection `books` doesn't exist!", UnknownCollection),
        (_CODES.INTERNAL, "Service internal error: No space left on device", StoreFull),
        (_CODES.INVALID_ARGUMENT, "Wrong input: a text of a caller", EngineFailed),
        (_CODES.INTERNAL, "a text of a caller", EngineFailed),
        (_CODES.RESOURCE_EXHAUSTED, "a text of a caller", EngineFailed),
        (_CODES.DEADLINE_EXCEEDED, "a text of a caller", EngineFailed),
        (_CODES.ABORTED, "a text of a caller", EngineFailed),
    ],
)
async def test_each_status_has_its_meaning(
    tmp_path: Path, code: grpc.StatusCode, details: str, kind: type[RetrieverError]
) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await make_books(engine)
        server.faults = {"Upsert": [(code, details)], "Query": [(code, details)]}
        with pytest.raises(kind) as raised:
            await engine.upsert("books", [document("b", "x")], embedder="")
        assert "caller" not in str(raised.value)
        found = await ask(engine, "x", to="a")
        legs = (found.bm25, found.vector)
        (failed,) = [each for each in legs if each and each.failure]
        assert isinstance(failed.failure, kind)


async def test_a_node_that_restarts_is_asked_again(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await make_books(engine)
        away = [(_CODES.UNAVAILABLE, "connection reset")] * 2
        server.faults = {"Get": list(away), "Query": list(away), "Upsert": list(away)}
        await engine.upsert("books", [document("b", "x")], embedder="")
        assert ids((await ask(engine, "x")).bm25) == ["a", "b"]


async def test_what_was_answered_is_there_after_a_restart(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        version = await make_books(engine)
        address = server.address
    async with reached(address) as engine:
        with pytest.raises(EngineFailed, match="cannot be reached"):
            await engine.collections()
    async with qdrant_server(tmp_path, address=address), reached(address) as engine:
        found = await ask(engine, "x", to="a", min_version=version)
        assert ids(found.bm25) == ids(found.vector) == ["a"]
        (back,) = await engine.get("books", ["a"], with_vectors=True)
        assert back.vector is not None
        assert back.vector.tolist() == pointing("a").tolist()


async def test_a_write_that_is_not_finished_is_none(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await make_books(engine)
        server.unfinished = True
        with pytest.raises(EngineFailed, match="not finished"):
            await engine.upsert("books", [document("b", "x")], embedder="")
        with pytest.raises(EngineFailed, match="not finished"):
            await engine.delete("books", ["a"])


async def test_each_call_has_its_time(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as patient,
        reached(server.address, read_s=0.05, write_s=0.05) as engine,
    ):
        await make_books(patient)
        server.stalls = {"Query"}
        found = await ask(patient, "", to=None)
        leg = (await ask(engine, "x")).bm25
        assert leg is not None
        assert leg.failure is not None
        assert "did not answer in 0.05 s" in str(leg.failure)
        assert found.bm25 is None
        server.stalls = {"Upsert"}
        with pytest.raises(EngineFailed, match=r"did not answer in 0\.05 s"):
            await engine.upsert("books", [document("b", "x")], embedder="")


async def test_who_leaves_takes_the_call_away_with_them(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await make_books(engine)
        server.stalls = {"Query"}
        searching = asyncio.create_task(ask(engine, "x", to="a"))
        await server.until(lambda: searches(server) == 2)
        searching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await searching
        await server.until(lambda: server.left["Query"] == 2)


async def test_a_collection_that_cannot_be_finished_is_not_left_behind(
    tmp_path: Path,
) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        server.faults = {"CreateFieldIndex": [(_CODES.INTERNAL, "broken")]}
        with pytest.raises(EngineFailed):
            await make_books(engine)
        assert server.names() == []
        await make_books(engine)


async def test_a_creation_whose_answer_was_lost_is_made_again(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        server.lost = {"Create"}
        await make_books(engine)
        made = [
            each for each in server.asked if isinstance(each, wire.CreateCollection)
        ]
        assert len(made) == 2
        assert ids((await ask(engine, "x")).bm25) == ["a"]
        indexed = {
            each.field_name
            for each in server.asked
            if isinstance(each, wire.CreateFieldIndexCollection)
        }
        assert len(indexed) == 6


async def test_of_two_that_create_at_once_one_does(tmp_path: Path) -> None:
    async with (
        qdrant_server(tmp_path) as server,
        reached(server.address) as one,
        reached(server.address) as other,
    ):
        made = await asyncio.gather(
            *(
                engine.create_collection("books", fields=(), dimension=0, embedder="")
                for engine in (one, other)
            ),
            return_exceptions=True,
        )
        assert sorted(type(each).__name__ for each in made) == [
            "Collection",
            "CollectionExists",
        ]


async def test_large_batches_go_in_parts(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await make_books(engine)
        many = [
            document(f"b{place}", f"x {'word ' * (200_000 * (place == 3))}")
            for place in range(300)
        ]
        await engine.upsert(
            "books",
            [
                *many[:4],
                many[3].__class__("c", "", "y " * 2_000_000, pointing("a")),
                *many[4:],
            ],
            embedder="",
        )
        sizes = [
            len(each.points)
            for each in server.asked
            if isinstance(each, wire.UpsertPoints) and len(each.points) > 1
        ]
        assert sum(sizes) <= 301
        assert max(sizes) <= 256
        assert (await engine.collection("books")).document_count == 302


@pytest.mark.parametrize("after", ["nonsense", "after:", "1"])
async def test_a_page_begins_only_where_one_can(tmp_path: Path, after: str) -> None:
    async with qdrant_server(tmp_path) as server, reached(server.address) as engine:
        await make_books(engine)
        with pytest.raises(InvalidPage):
            await engine.page("books", after=after, count=1, with_vectors=False)


async def test_over_tls_nothing_is_said_in_the_open(tmp_path: Path) -> None:
    async with qdrant_server(tmp_path) as server:
        host, _, port = server.address.partition(":")
        place = Place(host, int(port), secure=True)
        engine = QdrantRetriever(client(place, key="k", longest_s=5.0), CLUSTER)
        with pytest.raises(EngineFailed, match="cannot be reached"):
            await engine.collections()
        await engine.close()
        assert not server.asked


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("http://localhost", Place("localhost", 6334, secure=False)),
        ("https://a.example/", Place("a.example", 6334, secure=True)),
        ("http://10.0.0.1:7000", Place("10.0.0.1", 7000, secure=False)),
        ("http://[::1]:7000", Place("[::1]", 7000, secure=False)),
    ],
)
def test_a_cluster_is_named_by_a_url(url: str, place: Place) -> None:
    assert locate(url) == place
