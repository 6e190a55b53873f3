"""Searches while something changes under them, or comes late."""

import asyncio

import pytest

from gateway.backends.errors import FailureReason
from gateway.contract import Outcome
from gateway.errors import TooOld
from gateway.layers.fallback import Fallback
from gateway.layers.timeout import Timeout
from gateway.retrieval.errors import EngineFailed
from gateway.searching.contract import (
    Fusion,
    Mmr,
    MmrStage,
    Mode,
    RerankWish,
    Retrieval,
    Search,
    Searched,
)
from tests.support.embedders import FakeEmbedder, hangs
from tests.support.scorers import FakeScorer, now
from tests.support.scorers import hangs as never
from tests.support.searches import Scene, ids, scene, stages

NUMBERS = {name: str(9 - place) for place, name in enumerate("abcdefgh")}
OFF = RerankWish(enabled=False)


async def deleting(at_work: Scene, *names: str, **more: object) -> list[Searched]:
    """Search, and delete documents after they were found and before they are brought."""
    at_work.retriever.takes_s["get"] = 1.0
    ask = Search(query="1", **more)  # type: ignore[arg-type]  # as the test says

    async def search() -> list[Searched]:
        return [each async for each in at_work.searching.progressively(ask)]

    searching = asyncio.create_task(search())
    await asyncio.sleep(0.5)
    await at_work.retriever.delete("default", names)
    return await searching


async def test_a_deleted_document_lets_the_next_one_be_scored() -> None:
    at_work = await scene(NUMBERS)
    order = ids(await at_work.ask("1", rerank=OFF))
    first, last = await deleting(at_work, order[1], rerank=RerankWish(top_k=3), limit=2)
    left = [each for each in order if each != order[1]]
    assert ids(first) == left[:2]
    assert at_work.scorer.sizes == [3]
    assert last.execution.outcome is Outcome.RERANKED
    assert {*ids(last)} < {*left[:3]}
    assert all(each.document for each in (*first.results, *last.results))


async def test_a_deleted_document_lets_the_next_one_be_shown() -> None:
    at_work = await scene(NUMBERS)
    order = ids(await at_work.ask("1", rerank=OFF))
    first, last = await deleting(at_work, order[0], rerank=OFF, limit=2)
    for found in (first, last):
        assert ids(found) == order[1:3]
        assert all(each.document for each in found.results)


async def test_what_mmr_chose_may_be_deleted() -> None:
    at_work = await scene(NUMBERS)
    order = ids(await at_work.ask("1", rerank=OFF, mmr=Mmr()))
    _, last = await deleting(at_work, order[0], order[2], mmr=Mmr(pool=3), limit=2)
    assert at_work.scorer.sizes == [1]
    assert last.results[0].id == order[1]
    assert last.results[0].search_method == "rrf_hybrid+mmr+rerank"
    assert last.results[1].search_method == "rrf_hybrid"
    assert all(each.document for each in last.results)


async def test_everything_may_be_deleted() -> None:
    for more in ({}, {"mmr": Mmr()}, {"rerank": OFF}, {"max_per_group": 1}):
        at_work = await scene(NUMBERS)
        first, last = await deleting(at_work, *NUMBERS, **more)
        assert first.results == last.results == ()
        assert last.search_method == "rrf_hybrid"


@pytest.mark.parametrize("rerank", [OFF, RerankWish()])
@pytest.mark.parametrize(
    ("mode", "left"), [(Mode.VECTOR, "fulltext"), (Mode.FULLTEXT, "vector")]
)
async def test_a_leg_that_is_late_gives_way_to_the_one_that_was_not_wanted(
    mode: Mode, left: str, rerank: RerankWish
) -> None:
    at_work = await scene()
    at_work.retriever.takes_s["bm25" if left == "vector" else "vector"] = 60.0
    began = now()
    found = await at_work.ask(
        retrieval=Retrieval(mode=mode), rerank=rerank, deadline=began + 1.0
    )
    assert now() - began < 1.0
    assert found.search_method.startswith(left)
    assert found.fallback_triggered
    assert found.execution.stages[-1 if rerank is OFF else -2].reason is (
        FailureReason.DEADLINE
    )


async def test_an_embedder_that_hangs_gives_way_to_words() -> None:
    at_work = await scene(embedder=FakeEmbedder(hangs()))
    began = now()
    found = await at_work.ask(
        retrieval=Retrieval(mode=Mode.VECTOR), deadline=began + 1.0
    )
    assert now() - began < 1.0
    assert found.search_method == "fulltext+rerank"


async def test_a_version_is_waited_for_in_every_mode() -> None:
    for mode in Mode:
        at_work = await scene()
        began = now()
        with pytest.raises(TooOld):
            await at_work.ask(
                retrieval=Retrieval(mode=mode), min_version=99, timeout_s=1.0
            )
        assert now() - began > 0.85


@pytest.mark.parametrize("vector_takes_s", [0.2, 0.1, 60.0])
async def test_the_leg_that_is_wanted_counts_if_it_comes_after_all(
    vector_takes_s: float,
) -> None:
    at_work = await scene()
    # Half of the time is over at 1.0; with 0.2 both legs come at the same moment.
    at_work.retriever.takes_s |= {"bm25": 1.2, "vector": vector_takes_s}
    if vector_takes_s < 0.2:
        at_work.retriever.failures["vector"] = EngineFailed("the engine failed")
    found = await at_work.ask(
        retrieval=Retrieval(mode=Mode.FULLTEXT), rerank=OFF, timeout_s=2.0
    )
    assert found.search_method == "fulltext"
    assert not found.fallback_triggered
    assert [each.name for each in found.execution.stages] == ["retrieve"]


@pytest.mark.parametrize("rerank", [OFF, RerankWish()])
@pytest.mark.parametrize("stage", MmrStage)
async def test_vectors_that_do_not_come_in_time_are_done_without(
    rerank: RerankWish, stage: MmrStage
) -> None:
    at_work = await scene()
    at_work.retriever.takes_s["vectors"] = 60.0
    began = now()
    found = await at_work.ask(rerank=rerank, mmr=Mmr(stage=stage), deadline=began + 1.0)
    assert now() - began < 1.0
    assert found.search_method == "rrf_hybrid" + ("" if rerank is OFF else "+rerank")
    assert ("mmr", "FAILED") in stages(found)
    assert found.fallback_triggered


@pytest.mark.parametrize("rerank", [OFF, RerankWish()])
async def test_scores_that_do_not_come_in_time_are_done_without(
    rerank: RerankWish,
) -> None:
    at_work = await scene()
    at_work.retriever.takes_s["scores"] = 60.0
    began = now()
    found = await at_work.ask(
        retrieval=Retrieval(fusion=Fusion.ZSCORE), rerank=rerank, deadline=began + 1.0
    )
    assert now() - began < 1.0
    assert found.search_method == "rrf_hybrid" + ("" if rerank is OFF else "+rerank")
    assert found.fallback_triggered
    assert "scores cannot be looked up: no answer in" in str(found.execution.stages)


async def test_mmr_after_a_rerank_that_gave_nothing_is_skipped() -> None:
    slow = Timeout(FakeScorer(never()), backend="tei", attempt_s=9.0, fair_s=0.5)
    at_work = await scene(stage_two=Fallback((slow,)))
    at_work.retriever.takes_s["vectors"] = 60.0
    began = now()
    found = await at_work.ask(
        mmr=Mmr(stage=MmrStage.AFTER_RERANK), deadline=began + 1.0
    )
    assert now() - began < 1.0
    assert found.search_method == "rrf_hybrid"
    assert ("mmr", "SKIPPED") in stages(found)


@pytest.mark.parametrize("more", [{"timeout_s": 90.0}, {"rerank_s": 90.0}])
async def test_a_rerank_takes_no_longer_than_its_route_allows(
    more: dict[str, float],
) -> None:
    patient = Timeout(FakeScorer(never()), backend="tei", attempt_s=99.0, fair_s=0.5)
    at_work = await scene(stage_two=Fallback((patient,)))
    began = now()
    found = await at_work.ask(
        rerank=RerankWish(timeout_s=more.get("rerank_s")),
        timeout_s=more.get("timeout_s"),
    )
    assert found.search_method == "rrf_hybrid"
    # What the route of every scene says.
    assert now() - began == pytest.approx(30.0, abs=0.1)


async def test_a_share_of_the_whole_time_is_kept_for_the_way_back() -> None:
    patient = Timeout(FakeScorer(never()), backend="tei", attempt_s=99.0, fair_s=0.5)
    at_work = await scene(
        stage_two=Fallback((patient,)), embedder=FakeEmbedder(hangs())
    )
    began = now()
    found = await at_work.ask(deadline=began + 10.0)
    assert found.search_method == "fulltext"
    assert now() - began <= 9.51
