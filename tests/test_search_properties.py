"""What holds of every search, whatever is asked, stored, or broken."""

import math
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as st

from gateway.contract import Outcome
from gateway.ranking.candidates import Weights, by_rrf
from gateway.ranking.method import SEARCH_METHODS
from gateway.ranking.normalize import Scale
from gateway.retrieval.retriever import Query
from gateway.searching.contract import (
    Fusion,
    Mmr,
    MmrStage,
    Mode,
    RerankWish,
    Result,
    Retrieval,
    ScoreKind,
    Search,
    Searched,
)
from tests.support.embedders import FakeEmbedder, reads
from tests.support.random_searches import (
    EVERYTHING,
    OFF,
    Misfortune,
    Wanted,
    Witness,
    corpora,
    delays,
    groupings,
    misfortunes,
    order_explained,
    queries,
    retrievals,
    searches,
    witnessed,
)
from tests.support.scorers import now
from tests.support.searches import SPACE, ids, methods


def told(found: Searched) -> list[Result]:
    """Give the results without their documents, each of which is itself alone."""
    assert [each.document.id for each in found.results if each.document] == ids(found)
    return [replace(each, document=None) for each in found.results]


# Order


@given(corpora, searches, st.sampled_from(MmrStage))
async def test_relevance_only_keeps_the_order_of_relevance(
    texts: Mapping[str, str], wanted: Wanted, stage: MmrStage
) -> None:
    at_work = await witnessed(texts)
    if stage is MmrStage.BEFORE_RERANK:
        # A rerank of what MMR chose does not see the rest.
        wanted = replace(wanted, rerank=OFF)
    plain = await at_work.ask(replace(wanted, mmr=None))
    mmr = Mmr(relevance_weight=1.0, stage=stage, pool=5)
    same = await at_work.ask(replace(wanted, mmr=mmr))
    assert plain
    assert same
    assert ids(same) == ids(plain)


_lists = st.lists(st.sampled_from("abcdefgh"), unique=True, max_size=8)


@given(
    _lists,
    _lists,
    st.sampled_from([1, 60, 10_000]),
    st.builds(Weights, *2 * [st.sampled_from([0.0, 0.5, 1.0, 1.7])]),
    st.data(),
)
def test_a_better_rank_in_one_leg_never_worsens_a_place(
    first: list[str], second: list[str], k: int, weights: Weights, data: st.DataObject
) -> None:
    def places(legs: tuple[list[str], list[str]]) -> dict[str, int]:
        bm25, vector = ({each: -float(i) for i, each in enumerate(leg)} for leg in legs)
        found = by_rrf(bm25, vector, k=k, weights=weights, min_rrf_score=None)
        return {each.id: place for place, each in enumerate(found)}

    document = data.draw(st.sampled_from("abcdefgh"))
    leg = data.draw(st.sampled_from([0, 1]))
    legs = ([*first], [*second])
    rank = legs[leg].index(document) if document in legs[leg] else len(legs[leg])
    better = data.draw(st.integers(min_value=0, max_value=rank))
    before = places(legs)
    improved = [each for each in legs[leg] if each != document]
    improved.insert(better, document)
    legs[leg][:] = improved
    after = places(legs)
    # What no leg found stood below all others.
    assert after.get(document, math.inf) <= before.get(document, math.inf)


_shuffled = corpora.flatmap(
    lambda texts: st.tuples(
        st.just(texts), st.permutations([*texts.items()]).map(dict[str, str])
    )
)


@given(_shuffled, searches, groupings, misfortunes)
async def test_the_order_in_which_documents_are_stored_changes_nothing(
    stored_twice: tuple[Mapping[str, str], Mapping[str, str]],
    wanted: Wanted,
    groups: Mapping[str, str],
    misfortune: Misfortune,
) -> None:
    answers = []
    for stored in stored_twice:
        at_work = await witnessed(stored, misfortune, groups=groups)
        answers.append(await at_work.ask(wanted, limit=5, offset=1, max_per_group=2))
    first, second = answers
    assert (first is None) is (second is None)
    if first and second:
        assert told(first) == told(second)
        assert first.search_method == second.search_method


# Explanations


def _check_fusion(each: Result, wanted: Wanted, base: str) -> None:
    said = each.explanation
    legs = [
        (said.bm25_term, said.bm25_rank, said.bm25_score),
        (said.vector_term, said.vector_rank, said.vector_score),
    ]
    if base in {"fulltext", "vector"}:
        assert [term for term, _, _ in legs] == [None, None]
        found = legs[base == "vector"]
        assert found[1] == each.index + 1
        assert found[2] == each.retrieval_score
        return
    values = [term.value for term, _, _ in legs if term]
    assert each.retrieval_score == math.fsum(values)
    for term, rank, score in legs:
        if base == "rrf_hybrid":
            assert bool(term) is bool(rank)
            if term:
                assert term.value == term.weight / (wanted.retrieval.rrf_k + rank)
                assert (term.mean, term.deviation) == (None, None)
        elif term:
            assert score is not None
            assert term.mean is not None
            assert term.deviation is not None
            assert term.value == (
                term.weight * (score - term.mean) / term.deviation
                if term.deviation
                else 0.0
            )


def _check_score(each: Result, wanted: Wanted) -> None:
    marginal = each.explanation.marginal
    if marginal:
        assert wanted.mmr
        weight = wanted.mmr.relevance_weight
        assert marginal.score == (
            weight * marginal.relevance - (1.0 - weight) * marginal.penalty
        )
    numbers = {
        ScoreKind.RETRIEVAL: each.retrieval_score,
        ScoreKind.RERANK: each.rerank_score,
        ScoreKind.MMR: marginal.score if marginal else None,
    }
    assert each.score == numbers[each.score_kind]
    stages = each.search_method.split("+")[1:]
    kinds = {"mmr": ScoreKind.MMR, "rerank": ScoreKind.RERANK}
    assert each.score_kind is (kinds[stages[-1]] if stages else ScoreKind.RETRIEVAL)


@given(corpora, searches, misfortunes)
async def test_what_is_explained_gives_the_order(
    texts: Mapping[str, str], wanted: Wanted, misfortune: Misfortune
) -> None:
    at_work = await witnessed(texts, misfortune)
    found = await at_work.ask(wanted)
    assume(found is not None)
    assert found
    base = found.search_method.split("+")[0]
    for each in found.results:
        _check_fusion(each, wanted, base)
        _check_score(each, wanted)
    assert order_explained(found.results) == ids(found)
    by_place = sorted(found.results, key=lambda each: each.index)
    assert [each.index for each in by_place] == [*range(len(by_place))]


# Completeness


@given(corpora, searches, misfortunes)
async def test_nothing_is_lost_and_nothing_comes_twice(
    texts: Mapping[str, str], wanted: Wanted, misfortune: Misfortune
) -> None:
    at_work = await witnessed(texts, misfortune)
    found = await at_work.ask(wanted)
    retrieved = await at_work.ask(replace(wanted, mmr=None, rerank=OFF))
    assert (found is None) is (retrieved is None)
    if found and retrieved:
        assert sorted(ids(found)) == sorted(ids(retrieved))
        assert len({*ids(found)}) == len(ids(found))


@given(corpora, queries, st.sampled_from(Mode), st.sampled_from(Fusion))
async def test_all_that_the_legs_find_is_in_the_answer(
    texts: Mapping[str, str], query: str, mode: Mode, fusion: Fusion
) -> None:
    at_work = await witnessed(texts)
    retrieval = Retrieval(mode=mode, fusion=fusion)
    found = await at_work.scene.ask(query, retrieval=retrieval, limit=EVERYTHING)
    vector = (await reads(SPACE)(FakeEmbedder(), [query])).vectors[0]
    legs = await at_work.scene.retriever.search(
        "default",
        Query(
            text=query,
            vector=vector,
            embedder=SPACE,
            candidates=EVERYTHING,
            filter=None,
            min_version=0,
            deadline=0.0,
        ),
    )
    hits = set()
    if mode is not Mode.VECTOR and legs.bm25:
        hits |= {each.id for each in legs.bm25.hits}
    if mode is not Mode.FULLTEXT and legs.vector:
        hits |= {each.id for each in legs.vector.hits}
    assert {*ids(found)} == hits


@given(corpora, searches, st.sampled_from([0.0, 0.5, 0.9, 1.0]), misfortunes)
async def test_a_threshold_loses_only_what_does_not_reach_it(
    texts: Mapping[str, str], wanted: Wanted, least: float, misfortune: Misfortune
) -> None:
    at_work = await witnessed(texts, misfortune)
    every = await at_work.ask(wanted)
    assume(every is not None)
    assert every
    wish = replace(wanted.rerank, min_score=least)
    found = await at_work.ask(replace(wanted, rerank=wish))
    assert found
    applied = found.execution.min_score_applied
    assert applied is at_work.reranked
    assert ids(found) == [
        each.id
        for each in every.results
        if not applied or (each.rerank_score is not None and each.rerank_score >= least)
    ] or (wanted.mmr and wanted.mmr.stage is MmrStage.AFTER_RERANK)
    assert all((each.rerank_score or 0.0) >= least for each in found.results if applied)
    relative = await witnessed(texts, misfortune, scale=Scale.RELATIVE)
    kept = await relative.ask(replace(wanted, rerank=wish))
    assert kept
    assert sorted(ids(kept)) == sorted(ids(every))


@given(
    corpora,
    searches,
    groupings,
    misfortunes,
    st.tuples(st.integers(1, 5), st.integers(0, 13), st.integers(0, 2)),
)
async def test_ranks_go_on_from_the_offset_without_gaps(
    texts: Mapping[str, str],
    wanted: Wanted,
    groups: Mapping[str, str],
    misfortune: Misfortune,
    bounds: tuple[int, int, int],
) -> None:
    limit, offset, most = bounds
    at_work = await witnessed(texts, misfortune, groups=groups)
    pool = replace(wanted.mmr, pool=3) if wanted.mmr else None
    wanted = replace(
        wanted, mmr=pool, retrieval=replace(wanted.retrieval, candidates=20)
    )
    every = await at_work.ask(wanted, max_per_group=most)
    page = await at_work.ask(wanted, limit=limit, offset=offset, max_per_group=most)
    assume(every is not None)
    assert every
    assert page
    assert [each.rank for each in every.results] == [*range(1, len(every.results) + 1)]
    assert told(page) == told(every)[offset : offset + limit]
    for name in ("x", "y") if most else ():
        assert sum(groups.get(each) == name for each in ids(every)) <= most


# Truth


def _check_truth(found: Searched, said: str) -> None:
    assert found.search_method in SEARCH_METHODS
    assert found.search_method == said
    for each, method in zip(found.results, methods(found), strict=True):
        assert method in SEARCH_METHODS
        base, *stages = method.split("+")
        assert base == said.split("+", maxsplit=1)[0]
        assert ("rerank" in stages) is (each.raw_score is not None)
        assert ("mmr" in stages) is (each.explanation.marginal is not None)
        # No result claims what the answer does not.
        assert [each for each in said.split("+")[1:] if each in stages] == stages
    assert len({*methods(found)} | {said}) <= 1 + len(found.results)


def _label(
    at_work: Witness, wanted: Wanted, misfortune: Misfortune, found: Searched
) -> str:
    """Tell from what the fakes did what the answer is."""
    vectors = at_work.vectors_came and misfortune.has_vectors
    mmr = "+mmr" if wanted.mmr and vectors and found.results else ""
    rerank = "+rerank" if at_work.reranked else ""
    after = wanted.mmr and wanted.mmr.stage is MmrStage.AFTER_RERANK
    if after and wanted.rerank.enabled is not False:
        mmr = mmr if rerank else ""
        return at_work.base(wanted) + rerank + mmr
    return at_work.base(wanted) + mmr + rerank


@given(corpora, searches, misfortunes)
async def test_every_method_is_what_really_happened(
    texts: Mapping[str, str], wanted: Wanted, misfortune: Misfortune
) -> None:
    at_work = await witnessed(texts, misfortune)
    found = await at_work.ask(wanted)
    assert (found is None) is (not at_work.base(wanted))
    if found is None:
        return
    _check_truth(found, _label(at_work, wanted, misfortune, found))
    wants_rerank = wanted.rerank.enabled is not False
    failed = wants_rerank and "rerank" in misfortune.broken and found.results
    assert (found.execution.outcome is Outcome.FELL_BACK) is bool(failed)
    assert found.fallback_triggered or not failed


@given(corpora, searches, delays, st.sampled_from([0.2, 1.0, 5.0]))
async def test_every_answer_is_in_time_and_true_whoever_is_late(
    texts: Mapping[str, str], wanted: Wanted, misfortune: Misfortune, within_s: float
) -> None:
    at_work = await witnessed(texts, misfortune)
    began = now()
    found = await at_work.ask(wanted, deadline=began + within_s)
    assert now() - began < within_s
    assert (found is None) is (not at_work.base(wanted))
    if found:
        _check_truth(found, _label(at_work, wanted, misfortune, found))


@given(corpora, searches, misfortunes)
async def test_a_first_answer_claims_no_rerank(
    texts: Mapping[str, str], wanted: Wanted, misfortune: Misfortune
) -> None:
    at_work = await witnessed(texts, misfortune)
    once = await at_work.ask(wanted)
    assume(once is not None)
    assert once
    ask = Search(**wanted.asking())
    first, last = [each async for each in at_work.scene.searching.progressively(ask)]
    assert first.execution.outcome is Outcome.PENDING
    assert all("rerank" not in each for each in (*methods(first), first.search_method))
    assert told(last) == told(once)
    assert last.search_method == once.search_method
    assert sorted(ids(first)) == sorted(ids(last))


@given(corpora, queries, retrievals)
async def test_the_same_search_has_the_same_answer(
    texts: Mapping[str, str], query: str, retrieval: Retrieval
) -> None:
    at_work = await witnessed(texts)
    wanted = Wanted(
        query=query, retrieval=retrieval, mmr=Mmr(), rerank=RerankWish(top_k=4)
    )
    first, second = await at_work.ask(wanted), await at_work.ask(wanted)
    assert first
    assert second
    assert told(first) == told(second)
