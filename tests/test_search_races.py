"""Searches while something changes under them, or comes late."""

import asyncio

from gateway.contract import Outcome
from gateway.searching.contract import Mmr, RerankWish, Search, Searched
from tests.support.searches import Scene, ids, scene

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
