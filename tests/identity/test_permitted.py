"""Where identities are asked for, whoever has none may nothing, however it got there."""

import pytest

from gateway.identity.caller import Caller, caller
from gateway.identity.permitted import PermittedCollections, PermittedRoutes
from gateway.retrieval.retriever import Query, Retriever, UnknownCollection
from tests.support.memory_retriever import MemoryRetriever

ROUTES = {"a": 1, "b": 2}


def test_a_call_without_a_caller_finds_nothing() -> None:
    routes = PermittedRoutes(ROUTES)
    assert list(routes) == []
    assert len(routes) == 0
    assert routes.get("a") is None


def test_a_caller_finds_its_own() -> None:
    token = caller.set(Caller("t", routes=frozenset({"b", "c"})))
    try:
        routes = PermittedRoutes(ROUTES)
        assert dict(routes) == {"b": 2}
        assert "a" not in routes
        assert routes.get("c") is None
    finally:
        caller.reset(token)


@pytest.fixture
async def collections() -> Retriever:
    retriever = MemoryRetriever()
    await retriever.open()
    await retriever.create_collection("papers", fields=(), dimension=0, embedder="")
    return PermittedCollections(retriever)


async def test_every_way_to_a_collection_is_closed(collections: Retriever) -> None:
    query = Query(
        text="x",
        vector=None,
        embedder="",
        candidates=1,
        filter=None,
        min_version=0,
        deadline=1e9,
    )
    for call in (
        collections.create_collection("papers", fields=(), dimension=0, embedder=""),
        collections.shape("papers"),
        collections.collection("papers"),
        collections.delete_collection("papers"),
        collections.upsert("papers", (), embedder=""),
        collections.delete("papers", ()),
        collections.get("papers", (), with_vectors=False),
        collections.vectors("papers", ()),
        collections.search("papers", query),
        collections.scores("papers", (), text="x", vector=None),
    ):
        with pytest.raises(UnknownCollection):
            await call
    assert await collections.collections() == ()


def test_it_closes_every_way_there_is() -> None:
    public = {name for name in vars(Retriever) if not name.startswith("_")}
    assert public <= set(vars(PermittedCollections))


async def test_who_may_goes_through(collections: Retriever) -> None:
    token = caller.set(Caller("t", collections=frozenset({"papers"})))
    try:
        assert (await collections.collection("papers")).name == "papers"
        (only,) = await collections.collections()
        assert only.name == "papers"
    finally:
        caller.reset(token)
