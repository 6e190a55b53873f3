"""The ranker component, in the real Haystack over a real gateway."""

import asyncio
from collections.abc import Iterator

import pytest
from haystack import Document, Pipeline
from haystack.utils import Secret
from played import Played, serving

from rerank_client import FailedPrecondition
from rerank_client.haystack import GatewayRanker

QUERY = "what is vitamin b12"


def found() -> list[Document]:
    return [
        Document(id="bread", content="Bread is baked.", score=0.9),
        Document(id="blank", content=None, score=None, meta={"fallback_reason": "?"}),
        Document(id="b12", content="What vitamin B12 is.", meta={"page": 3}, score=0.1),
    ]


@pytest.fixture
def ranker(gateway: str) -> Iterator[GatewayRanker]:
    ranker = GatewayRanker(gateway)
    yield ranker
    ranker.close()


def test_documents_come_in_the_new_order_with_their_scores(
    ranker: GatewayRanker,
) -> None:
    output = ranker.run(QUERY, found())
    best, other, blank = output["documents"]
    assert [best.id, other.id, blank.id] == ["b12", "bread", "blank"]
    assert best.score > other.score
    assert blank.score is None
    assert best.meta == {
        "page": 3,
        "search_method": "rerank",
        "fallback_triggered": False,
        "retrieval_score": 0.1,
    }
    assert blank.meta == {"search_method": "input_order", "fallback_triggered": False}
    assert output["fallback_triggered"] is False
    assert output["fallback_reason"] == ""


async def test_coroutines_get_the_same(ranker: GatewayRanker) -> None:
    assert await ranker.run_async(QUERY, found()) == ranker.run(QUERY, found())
    await ranker.close_async()


def test_it_runs_on_one_event_loop_after_another(ranker: GatewayRanker) -> None:
    async def run() -> list[Document]:
        documents: list[Document] = (await ranker.run_async(QUERY, found()))[
            "documents"
        ]
        return documents

    assert asyncio.run(run()) == asyncio.run(run())
    asyncio.run(ranker.close_async())


def test_what_was_found_stays_as_it_is(ranker: GatewayRanker) -> None:
    documents = found()
    ranker.run(QUERY, documents)
    assert documents == found()


def test_a_fallback_keeps_the_order_and_shows(gateway: str) -> None:
    ranker = GatewayRanker(gateway, route="locked", search_method="vector")
    output = ranker.run(QUERY, found())
    assert [each.id for each in output["documents"]] == ["bread", "blank", "b12"]
    assert output["fallback_triggered"] is True
    assert output["fallback_reason"] == "UNAUTHENTICATED"
    for each in output["documents"]:
        assert each.score is None
        assert each.meta["search_method"] == "vector"
        assert each.meta["fallback_reason"] == "UNAUTHENTICATED"
    ranker.close()


def test_a_failure_can_be_an_error(gateway: str) -> None:
    ranker = GatewayRanker(gateway, route="locked", raise_on_failure=True)
    with pytest.raises(FailedPrecondition):
        ranker.run(QUERY, found())
    ranker.close()


def test_results_are_bounded_by_number_and_score(
    ranker: GatewayRanker, gateway: str
) -> None:
    assert len(ranker.run(QUERY, found(), top_k=2)["documents"]) == 2
    strict = GatewayRanker(gateway, min_score=0.5, top_k=1)
    assert [each.id for each in strict.run(QUERY, found())["documents"]] == ["b12"]
    strict.close()


@pytest.mark.parametrize("top_k", [0, -1])
def test_no_results_cannot_be_asked_for(ranker: GatewayRanker, top_k: int) -> None:
    with pytest.raises(ValueError, match="above 0"):
        ranker.run(QUERY, found(), top_k=top_k)


def test_fields_of_meta_can_be_judged_too(gateway: str) -> None:
    documents = [
        *found()[:1],
        Document(id="titled", content="Nothing.", meta={"title": "vitamin b12"}),
    ]
    ranker = GatewayRanker(gateway, meta_fields_to_embed=["title", "missing"])
    assert ranker.run(QUERY, documents)["documents"][0].id == "titled"
    ranker.close()


async def test_nothing_found_asks_nobody() -> None:
    ranker = GatewayRanker("localhost:1")
    nothing = {"documents": [], "fallback_triggered": False, "fallback_reason": ""}
    assert ranker.run(QUERY, []) == nothing
    assert await ranker.run_async(QUERY, []) == nothing


def test_a_pipeline_is_saved_loaded_and_run(
    gateway: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_TOKEN", "secret")
    pipeline = Pipeline()
    pipeline.add_component(
        "ranker",
        GatewayRanker(
            gateway, token=Secret.from_env_var("GATEWAY_TOKEN"), top_k=1, timeout_s=20
        ),
    )
    saved = pipeline.dumps()
    assert "GATEWAY_TOKEN" in saved
    assert "secret" not in saved
    loaded = Pipeline.loads(saved, allowed_modules=["rerank_client.haystack"])
    assert loaded.to_dict() == pipeline.to_dict()
    output = loaded.run({"ranker": {"query": QUERY, "documents": found()}})
    assert [each.id for each in output["ranker"]["documents"]] == ["b12"]
    assert output["ranker"]["fallback_triggered"] is False
    loaded.close()


async def test_an_asynchronous_pipeline_runs_it(gateway: str) -> None:
    pipeline = Pipeline()
    pipeline.add_component("ranker", GatewayRanker(gateway))
    output = await pipeline.run_async(
        {"ranker": {"query": QUERY, "documents": found()}}
    )
    assert output["ranker"]["documents"][0].id == "b12"
    await pipeline.close_async()


async def test_the_token_goes_with_every_call() -> None:
    played = Played()
    with serving(played) as address:
        ranker = GatewayRanker(address, token=Secret.from_token("secret"))
        ranker.run(QUERY, found())
        await ranker.run_async(QUERY, found())
        await ranker.close_async()
    assert [each.metadata["authorization"] for each in played.calls] == [
        "Bearer secret",
        "Bearer secret",
    ]
