"""The use case Search, over documents in memory, with a scorer that plays."""

import asyncio

import pytest

from gateway.backends.errors import FailureReason, Unavailable
from gateway.contract import Outcome
from gateway.errors import (
    CollectionNotFound,
    InvalidRequest,
    OutOfTime,
    RerankFailed,
    RetrievalUnavailable,
    TooOld,
    UnknownRoute,
)
from gateway.layers.fallback import Fallback
from gateway.layers.timeout import Timeout
from gateway.ranking.method import SEARCH_METHODS
from gateway.ranking.normalize import Scale
from gateway.retrieval.errors import EngineFailed
from gateway.searching import SearchRoute
from gateway.searching.contract import (
    Fusion,
    Mmr,
    MmrStage,
    Mode,
    RerankWish,
    Retrieval,
    ScoreKind,
    Search,
    Searched,
)
from tests.support.embedders import FakeEmbedder, embeds, reads
from tests.support.embedders import fails as embedding_fails
from tests.support.embedders import hangs as embedding_hangs
from tests.support.scorers import FakeScorer, after, answers, fails, hangs, now
from tests.support.scorers import reads as reads_numbers
from tests.support.searches import (
    SPACE,
    TEXTS,
    Scene,
    by_id,
    ids,
    methods,
    scene,
    stages,
)

OFF = RerankWish(enabled=False)
HYBRID = Retrieval()
WORDS = Retrieval(mode=Mode.FULLTEXT)
VECTOR = Retrieval(mode=Mode.VECTOR)
ZSCORE = Retrieval(fusion=Fusion.ZSCORE)
BEFORE = Mmr()
AFTER = Mmr(stage=MmrStage.AFTER_RERANK)


def down() -> FakeScorer:
    return FakeScorer(fails(lambda: Unavailable("tei", "refused")), backend="tei")


def no_embedder() -> FakeEmbedder:
    return FakeEmbedder(embedding_fails(lambda: Unavailable("embedder", "refused")))


# Which method


_BASES = {
    "rrf_hybrid": HYBRID,
    "zscore_hybrid": ZSCORE,
    "vector": VECTOR,
    "fulltext": WORDS,
}
_LATER: dict[str, tuple[Mmr | None, RerankWish]] = {
    "": (None, OFF),
    "+mmr": (BEFORE, OFF),
    "+rerank": (None, RerankWish()),
    "+mmr+rerank": (BEFORE, RerankWish()),
    "+rerank+mmr": (AFTER, RerankWish()),
}


@pytest.mark.parametrize("base", _BASES)
@pytest.mark.parametrize("later", _LATER)
async def test_every_method_is_what_happened(base: str, later: str) -> None:
    mmr, rerank = _LATER[later]
    found = await (await scene()).ask(
        retrieval=_BASES[base], mmr=mmr, rerank=rerank, limit=2
    )
    assert found.search_method == base + later
    assert set(methods(found)) == {base + later}
    assert found.search_method in SEARCH_METHODS
    assert not found.fallback_triggered
    assert len(found.results) == 2


@pytest.mark.parametrize("base", _BASES)
@pytest.mark.parametrize("later", ["+rerank", "+mmr+rerank", "+rerank+mmr"])
async def test_no_method_names_a_rerank_that_failed(base: str, later: str) -> None:
    mmr, rerank = _LATER[later]
    found = await (await scene(scorer=down())).ask(
        retrieval=_BASES[base], mmr=mmr, rerank=rerank
    )
    before = await (await scene()).ask(
        retrieval=_BASES[base], mmr=mmr if mmr is BEFORE else None, rerank=OFF
    )
    assert found.search_method == base + ("+mmr" if mmr is BEFORE else "")
    assert all("rerank" not in each for each in methods(found))
    assert ids(found) == ids(before)
    assert all(each.rerank_score is None for each in found.results)
    assert found.fallback_triggered
    assert found.execution.outcome is Outcome.FELL_BACK
    assert found.execution.fallback_reason is FailureReason.UNAVAILABLE
    assert "only: reranking fell back (tei: UNAVAILABLE after" in found.message


async def test_the_message_says_it_in_words() -> None:
    at_work = await scene()
    assert (await at_work.ask(rerank=OFF)).message == (
        "Reciprocal Rank Fusion (Vector + BM25)"
    )
    assert (await at_work.ask()).message == "RRF + Cross-Encoder Reranking"
    assert (await at_work.ask(rerank=OFF, mmr=BEFORE)).message == (
        "Reciprocal Rank Fusion (Vector + BM25) + MMR diversification (λ=0.70)"
    )
    found = await at_work.ask(retrieval=ZSCORE, mmr=Mmr(relevance_weight=0.5))
    assert found.search_method == "zscore_hybrid+mmr+rerank"


# Stage 1


async def test_both_legs_are_searched_and_joined() -> None:
    found = await (await scene()).ask("bread", rerank=OFF)
    first = found.results[0].explanation
    assert first.vector_rank
    assert first.bm25_rank
    assert found.results[0].score_kind is ScoreKind.RETRIEVAL
    assert set(ids(found)) == set(TEXTS)
    assert found.results[0].document is not None
    assert found.results[0].document.text == TEXTS[found.results[0].id]


async def test_words_are_searched_while_the_vector_is_made() -> None:
    at_work = await scene(embedder=FakeEmbedder(reads(SPACE, after_s=1.0, dimension=8)))
    at_work.retriever.takes_s["bm25"] = 1.0
    began = now()
    found = await at_work.ask(rerank=OFF)
    assert now() - began == pytest.approx(1.0, abs=0.01)
    assert found.search_method == "rrf_hybrid"


async def test_without_vectors_words_alone_are_searched() -> None:
    found = await (await scene(dimension=0)).ask(rerank=OFF)
    assert found.search_method == "fulltext"
    assert not found.fallback_triggered
    assert stages(found) == [("retrieve", "OK")]


async def test_vectors_that_callers_bring_are_not_made_up() -> None:
    at_work = await scene(space="")
    found = await at_work.ask(rerank=OFF)
    assert found.search_method == "fulltext"
    assert not found.fallback_triggered
    brought = await at_work.ask(rerank=OFF, embedding=(1.0,) * 8)
    assert brought.search_method == "rrf_hybrid"
    assert not at_work.embedder.calls


async def test_a_blank_query_is_a_vector_search_that_nobody_reranks() -> None:
    at_work = await scene()
    found = await at_work.ask(" ", embedding=(1.0,) * 8)
    assert found.search_method == "vector"
    assert found.execution.outcome is Outcome.NOT_REQUESTED
    assert not at_work.scorer.requests


async def test_an_embedder_that_fails_leaves_the_words() -> None:
    at_work = await scene(embedder=no_embedder())
    for wanted in (HYBRID, VECTOR, ZSCORE):
        found = await at_work.ask(retrieval=wanted)
        assert found.search_method == "fulltext+rerank"
        assert found.fallback_triggered
        assert stages(found)[:2] == [("embed", "FAILED"), ("retrieve", "DEGRADED")]
        assert found.execution.stages[0].reason is FailureReason.UNAVAILABLE
        assert "vector search failed: embedder: refused" in found.message


async def test_without_an_embedder_search_is_by_words_and_says_so() -> None:
    found = await (await scene(has_embedder=False)).ask(rerank=OFF)
    assert found.search_method == "fulltext"
    assert found.fallback_triggered
    assert found.execution.stages[0].reason is FailureReason.MISCONFIGURED


async def test_vectors_of_another_model_are_never_compared() -> None:
    found = await (await scene(space="other")).ask(rerank=OFF)
    assert found.search_method == "fulltext"
    assert found.fallback_triggered
    assert (
        "the collection's vectors are of 'other', the server's of 'm'" in found.message
    )


@pytest.mark.parametrize(("leg", "left"), [("bm25", "vector"), ("vector", "fulltext")])
async def test_a_leg_that_fails_leaves_the_other_one(leg: str, left: str) -> None:
    at_work = await scene()
    at_work.retriever.failures[leg] = EngineFailed("the engine failed")
    for wanted in (HYBRID, VECTOR, WORDS):
        found = await at_work.ask(retrieval=wanted, rerank=OFF)
        assert found.search_method == left
        mode = {"vector": VECTOR, "fulltext": WORDS}[left]
        assert found.fallback_triggered is (wanted is not mode)


async def test_a_leg_that_is_late_is_left_out() -> None:
    at_work = await scene(embedder=FakeEmbedder(embedding_hangs()))
    began = now()
    found = await at_work.ask(deadline=began + 2.0)
    assert found.search_method == "fulltext+rerank"
    assert found.execution.stages[0].reason is FailureReason.DEADLINE
    # Half of the time is for what comes after.
    assert now() - began == pytest.approx(0.95, abs=0.05)
    assert at_work.embedder.cancelled


async def test_the_first_leg_that_comes_is_waited_for() -> None:
    at_work = await scene(embedder=FakeEmbedder(embedding_hangs()))
    at_work.retriever.takes_s["bm25"] = 1.5
    began = now()
    found = await at_work.ask(deadline=began + 2.0)
    assert found.search_method.startswith("fulltext")
    assert now() - began < 2.0


async def test_nothing_to_search_with_is_an_error() -> None:
    at_work = await scene(embedder=no_embedder())
    at_work.retriever.failures["bm25"] = EngineFailed("the engine failed")
    with pytest.raises(RetrievalUnavailable, match="full-text search failed"):
        await at_work.ask()


async def test_no_leg_in_time_is_the_callers_deadline() -> None:
    at_work = await scene(embedder=FakeEmbedder(embedding_hangs()))
    at_work.retriever.takes_s["bm25"] = 60.0
    began = now()
    with pytest.raises(OutOfTime):
        await at_work.ask(deadline=began + 1.0)
    assert now() - began < 1.0
    with pytest.raises(OutOfTime):
        await at_work.ask(deadline=began)


async def test_mistakes_of_the_caller_are_told() -> None:
    at_work = await scene()
    with pytest.raises(CollectionNotFound):
        await at_work.ask(collection="nowhere")
    with pytest.raises(UnknownRoute):
        await at_work.ask(rerank=RerankWish(route="nowhere"))
    assert (await at_work.ask(rerank=RerankWish(route="x", enabled=False))).results
    with pytest.raises(InvalidRequest, match="embedding"):
        await at_work.ask(embedding=(1.0, 2.0))
    with pytest.raises(InvalidRequest, match="embedding: must not be all zeros"):
        await at_work.ask(embedding=(0.0,) * 8)
    with pytest.raises(TooOld, match="not yet at 99"):
        await at_work.ask(min_version=99, timeout_s=0.5)
    bare = await scene(dimension=0)
    with pytest.raises(InvalidRequest, match="embedding"):
        await bare.ask(" ", embedding=(1.0,))


async def test_z_fusion_looks_up_what_a_leg_left_out() -> None:
    at_work = await scene()
    found = await at_work.ask("baked", retrieval=ZSCORE, rerank=OFF)
    soup = by_id(found)["soup"].explanation
    assert soup.bm25_rank == 0
    assert soup.bm25_score == 0.0
    assert soup.bm25_term is not None
    assert soup.bm25_term.mean is not None
    at_work.retriever.failures["scores"] = EngineFailed("the engine failed")
    found = await at_work.ask("baked", retrieval=ZSCORE, rerank=OFF)
    assert found.search_method == "rrf_hybrid"
    assert found.fallback_triggered
    assert "scores cannot be looked up" in found.execution.stages[-1].detail


async def test_legs_are_weighed_and_cut() -> None:
    at_work = await scene()
    words_only = await at_work.ask(retrieval=Retrieval(vector_weight=0.0), rerank=OFF)
    assert words_only.search_method == "fulltext"
    assert not at_work.embedder.calls
    short = await at_work.ask(retrieval=Retrieval(adaptive_weights=True), rerank=OFF)
    weights = {
        (each.explanation.bm25_term.weight)
        for each in short.results
        if each.explanation.bm25_term
    }
    assert weights == {1.5}
    near = await at_work.ask(
        retrieval=Retrieval(mode=Mode.VECTOR, min_similarity=0.99), rerank=OFF
    )
    assert near.results == ()
    assert near.search_method == "vector"
    best = await at_work.ask(retrieval=Retrieval(min_rrf_score=0.032), rerank=OFF)
    assert all(each.retrieval_score >= 0.032 for each in best.results)


async def test_the_route_says_how_where_the_caller_does_not() -> None:
    route = SearchRoute(
        enabled=False,
        fusion=Fusion.ZSCORE,
        adaptive_weights=True,
        timeout_s=30.0,
        top_k=100,
    )
    at_work = await scene(route=route)
    assert (await at_work.ask()).search_method == "zscore_hybrid"
    wish = RerankWish(enabled=True)
    found = await at_work.ask(rerank=wish, retrieval=Retrieval(fusion=Fusion.RRF))
    assert found.search_method == "rrf_hybrid+rerank"


# Stage 2


NUMBERS = {"a": "1", "b": "3", "c": "2", "d": " ", "e": "0.5"}


async def test_scored_documents_stand_first_and_nothing_is_lost() -> None:
    at_work = await scene(NUMBERS)
    found = await at_work.ask("1", rerank=RerankWish(top_k=3))
    order = ids(await at_work.ask("1", rerank=OFF))
    scored = [each for each in found.results if each.rerank_score is not None]
    assert {each.id for each in scored} <= set(order[:3])
    assert sorted(ids(found)) == sorted(NUMBERS)
    raws = [each.raw_score for each in scored]
    assert raws == sorted(raws, key=lambda raw: -(raw or 0))
    tail = [each.id for each in found.results if each.rerank_score is None]
    assert tail == [each for each in order if each in tail]
    assert {each.search_method for each in found.results[len(scored) :]} == {
        "rrf_hybrid"
    }
    indexes = {each.index for each in found.results if each.rerank_score is None}
    assert set(found.execution.unscored_indexes) == indexes


async def test_a_threshold_removes_what_does_not_reach_it() -> None:
    at_work = await scene(NUMBERS)
    found = await at_work.ask("1", rerank=RerankWish(min_score=0.8, top_k=5))
    assert ids(found) == ["b", "c"]
    assert found.execution.min_score_applied
    assert found.search_method == "rrf_hybrid+rerank"
    none = await at_work.ask("1", rerank=RerankWish(min_score=1.0))
    assert none.results == ()
    assert none.search_method == "rrf_hybrid+rerank"
    kept = await (await scene(NUMBERS, scorer=down())).ask(
        "1", rerank=RerankWish(min_score=0.8)
    )
    assert len(kept.results) == 5
    relative = FakeScorer(scale=Scale.RELATIVE)
    kept = await (await scene(NUMBERS, scorer=relative)).ask(
        "1", rerank=RerankWish(min_score=0.8)
    )
    assert len(kept.results) == 5
    assert not kept.execution.min_score_applied


async def test_a_failed_rerank_is_an_error_if_the_caller_wants_it() -> None:
    at_work = await scene(scorer=down())
    with pytest.raises(RerankFailed):
        await at_work.ask(keep_order=False)


async def test_the_second_backend_is_named_in_the_message() -> None:
    second = Fallback((down(), FakeScorer(backend="cohere")))
    found = await (await scene(stage_two=second)).ask()
    assert found.search_method == "rrf_hybrid+rerank"
    assert found.fallback_triggered
    assert found.message.startswith(
        "RRF + Cross-Encoder Reranking (cohere, after tei: UNAVAILABLE"
    )


async def test_a_rerank_that_is_late_leaves_the_order_in_time() -> None:
    slow = Timeout(FakeScorer(hangs()), backend="tei", attempt_s=10.0, fair_s=0.5)
    at_work = await scene(stage_two=Fallback((slow,)))
    began = now()
    found = await at_work.ask(deadline=began + 1.0)
    assert now() - began < 1.0
    assert found.execution.fallback_reason is FailureReason.DEADLINE
    began = now()
    found = await at_work.ask(timeout_s=0.5)
    assert now() - began == pytest.approx(0.5, abs=0.01)
    assert found.search_method == "rrf_hybrid"


async def test_deleted_documents_are_dropped() -> None:
    at_work = await scene()
    get = at_work.retriever.get

    async def after_deleting(*args: object, **more: object) -> object:
        await at_work.retriever.delete("default", ["bread"])
        return await get(*args, **more)  # type: ignore[arg-type]  # passed on as they are

    at_work.retriever.get = after_deleting  # type: ignore[method-assign,assignment]  # races the deletion
    found = await at_work.ask()
    assert "bread" not in ids(found)
    assert len(found.results) == 4
    assert [each.rank for each in found.results] == [1, 2, 3, 4]


async def test_pages_fit_together() -> None:
    at_work = await scene()
    whole = ids(await at_work.ask(limit=5))
    pages = [await at_work.ask(limit=2, offset=offset) for offset in (0, 2, 4, 6)]
    assert [name for page in pages for name in ids(page)] == whole
    assert [each.rank for each in pages[1].results] == [3, 4]


async def test_groups_are_bounded() -> None:
    groups = {"bread": "flour", "cake": "flour", "rye": "flour"}
    at_work = await scene(groups=groups)
    found = await at_work.ask(max_per_group=1)
    assert sum(groups.get(each) == "flour" for each in ids(found)) == 1
    assert {"oven", "soup"} < set(ids(found))


async def test_vectors_come_back_when_asked_for() -> None:
    at_work = await scene()
    for wanted in (True, False):
        found = await at_work.ask(with_vectors=wanted)
        documents = [each.document for each in found.results]
        assert all(each and (each.vector is not None) is wanted for each in documents)


# Diversity


async def test_mmr_first_chooses_what_is_reranked() -> None:
    at_work = await scene()
    found = await at_work.ask(mmr=Mmr(pool=2))
    assert at_work.scorer.sizes == [2]
    assert methods(found)[:2] == ["rrf_hybrid+mmr+rerank"] * 2
    assert set(methods(found)[2:]) == {"rrf_hybrid"}
    assert len(found.results) == 5


async def test_mmr_afterwards_orders_what_was_scored() -> None:
    at_work = await scene()
    found = await at_work.ask(
        mmr=Mmr(stage=MmrStage.AFTER_RERANK, pool=2), rerank=RerankWish(top_k=3)
    )
    assert methods(found) == [
        "rrf_hybrid+rerank+mmr",
        "rrf_hybrid+rerank+mmr",
        "rrf_hybrid+rerank",
        "rrf_hybrid",
        "rrf_hybrid",
    ]
    kinds = [each.score_kind for each in found.results]
    assert kinds == [
        ScoreKind.MMR,
        ScoreKind.MMR,
        ScoreKind.RERANK,
        ScoreKind.RETRIEVAL,
        ScoreKind.RETRIEVAL,
    ]


async def test_relevance_only_keeps_the_order() -> None:
    at_work = await scene()
    for rerank in (OFF, RerankWish()):
        plain = await at_work.ask(rerank=rerank)
        for stage in MmrStage:
            same = await at_work.ask(
                rerank=rerank, mmr=Mmr(relevance_weight=1.0, stage=stage)
            )
            assert ids(same) == ids(plain)


async def test_mmr_is_skipped_without_vectors_and_fails_without_the_engine() -> None:
    bare = await scene(dimension=0)
    found = await bare.ask(mmr=BEFORE)
    assert found.search_method == "fulltext+rerank"
    assert ("mmr", "SKIPPED") in stages(found)
    assert not found.fallback_triggered
    broken = await scene()
    broken.retriever.failures["vectors"] = EngineFailed("the engine failed")
    found = await broken.ask(mmr=BEFORE)
    assert found.search_method == "rrf_hybrid+rerank"
    assert ("mmr", "FAILED") in stages(found)
    assert found.fallback_triggered


# Progressive


async def every(
    at_work: Scene, query: str = "baked bread", **more: object
) -> list[Searched]:
    ask = Search(query=query, **more)  # type: ignore[arg-type]  # as the test says
    return [each async for each in at_work.searching.progressively(ask)]


async def test_a_progressive_search_answers_twice() -> None:
    at_work = await scene()
    first, last = await every(at_work)
    assert first.execution.outcome is Outcome.PENDING
    assert first.search_method == "rrf_hybrid"
    assert ids(first) == ids(await at_work.ask(rerank=OFF))
    assert ids(last) == ids(await at_work.ask())
    assert last.search_method == "rrf_hybrid+rerank"
    first, last = await every(await scene(scorer=down()))
    assert ids(first) == ids(last)
    assert last.execution.outcome is Outcome.FELL_BACK
    first, last = await every(await scene(), rerank=OFF)
    assert last.execution.outcome is Outcome.NOT_REQUESTED


async def test_the_first_answer_does_not_wait_for_the_second() -> None:
    slow = FakeScorer(after(3.0, reads_numbers()))
    at_work = await scene(scorer=slow)
    began = now()
    answers_of = at_work.searching.progressively(Search(query="bread"))
    came = [now() - began async for _ in answers_of]
    assert came == [pytest.approx(0.0, abs=0.01), pytest.approx(3.0, abs=0.01)]


async def test_who_leaves_after_the_first_answer_cancels_the_rerank() -> None:
    at_work = await scene(scorer=FakeScorer(hangs()))

    async def read() -> None:
        async for _ in at_work.searching.progressively(Search(query="bread")):
            pass

    reading = asyncio.create_task(read())
    await asyncio.sleep(1.0)
    assert at_work.scorer.running == 1
    reading.cancel()
    await asyncio.wait([reading])
    assert at_work.scorer.running == 0


# The collection as a judge


async def test_a_scorer_can_ask_the_collection() -> None:
    at_work = await scene()
    await at_work.ask("baked bread")
    (request,) = at_work.scorer.requests
    assert request.lookup is not None
    assert request.space == SPACE
    evidence = await request.lookup([each.rank for each in request.documents])
    assert all(evidence)
    at_work.retriever.failures["scores"] = EngineFailed("the engine failed")
    assert None in await request.lookup([each.rank for each in request.documents])
    without = await scene(embedder=no_embedder())
    await without.ask("baked bread")
    assert without.scorer.requests[0].lookup is None


async def test_a_partial_rerank_says_so() -> None:
    at_work = await scene(scorer=FakeScorer(answers(1.0, None, 3.0, 2.0, 0.0)))
    found = await at_work.ask()
    assert found.execution.outcome is Outcome.PARTIALLY_RERANKED
    assert found.search_method == "rrf_hybrid+rerank"
    assert methods(found)[-1] == "rrf_hybrid"
    assert len(found.results) == 5


async def test_the_vector_of_a_query_is_what_the_embedder_said() -> None:
    at_work = await scene(embedder=FakeEmbedder(embeds(SPACE, dimension=8)))
    found = await at_work.ask(retrieval=VECTOR, rerank=OFF)
    assert found.search_method == "vector"
    assert at_work.embedder.calls == [("baked bread",)]
