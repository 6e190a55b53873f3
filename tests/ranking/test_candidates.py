"""From what the legs found to one list of candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ranking.candidates import (
    Retrieved,
    Weights,
    by_rrf,
    by_vector,
    by_words,
    by_zscores,
    weights_for,
)

EVEN = Weights(bm25=1.0, vector=1.0)
WORDS = {"a": 9.0, "b": 5.0, "c": 1.0}
VECTOR = {"c": 0.9, "a": 0.5, "d": 0.1}

_hits = st.dictionaries(
    st.sampled_from("abcdefgh"), st.floats(min_value=-10, max_value=10)
).map(lambda found: dict(sorted(found.items(), key=lambda each: (-each[1], each[0]))))
_weights = st.builds(Weights, *2 * [st.sampled_from([0.0, 0.5, 1.0, 1.5])])


def named(candidates: list[Retrieved]) -> dict[str, Retrieved]:
    return {each.id: each for each in candidates}


@pytest.mark.parametrize(
    ("query", "bm25", "vector"),
    [
        ("bread", 1.5, 0.5),
        ("rye bread", 1.5, 0.5),
        ("dark rye bread", 1.0, 1.0),
        ("how is rye bread baked", 1.0, 1.0),
        ("how is dark rye bread baked", 0.5, 1.5),
        ("  rye \n bread ", 1.5, 0.5),
        ("", 1.5, 0.5),
    ],
)
def test_few_words_weigh_words_and_many_weigh_meaning(
    query: str, bm25: float, vector: float
) -> None:
    assert weights_for(query) == Weights(bm25=bm25, vector=vector)


def test_one_leg_is_taken_as_it_is() -> None:
    words = by_words(WORDS)
    assert [(each.id, each.score, each.bm25_rank) for each in words] == [
        ("a", 9.0, 1),
        ("b", 5.0, 2),
        ("c", 1.0, 3),
    ]
    vector = by_vector(VECTOR)
    assert [(each.id, each.score, each.vector_rank) for each in vector] == [
        ("c", 0.9, 1),
        ("a", 0.5, 2),
        ("d", 0.1, 3),
    ]
    for each in words:
        assert each.bm25_score == each.score
        assert (each.vector_rank, each.vector_score) == (0, None)
    for each in vector:
        assert each.vector_score == each.score
        assert (each.bm25_rank, each.bm25_score) == (0, None)
    # Nothing was fused, so nothing contributed to a sum.
    assert {each.bm25_term for each in words + vector} == {None}
    assert {each.vector_term for each in words + vector} == {None}


def test_nothing_found_is_no_candidates() -> None:
    assert by_words({}) == by_vector({}) == []
    assert by_rrf({}, {}, k=60, weights=EVEN, min_rrf_score=None) == []
    assert by_zscores({}, {}, looked_up={}, weights=EVEN) == []


def test_ranks_are_joined_and_each_leg_keeps_what_it_said() -> None:
    found = by_rrf(WORDS, VECTOR, k=60, weights=EVEN, min_rrf_score=None)
    assert [each.id for each in found] == ["a", "c", "b", "d"]
    a, b, d = (named(found)[each] for each in "abd")
    assert a.score == pytest.approx(1 / 61 + 1 / 62)
    assert (a.bm25_rank, a.vector_rank) == (1, 2)
    assert (a.bm25_score, a.vector_score) == (9.0, 0.5)
    # What a leg did not find is not known, and contributes nothing.
    assert (b.vector_rank, b.vector_score, b.vector_term) == (0, None, None)
    assert (d.bm25_rank, d.bm25_score, d.bm25_term) == (0, None, None)


def test_what_is_below_the_bound_is_dropped() -> None:
    found = by_rrf(WORDS, VECTOR, k=60, weights=EVEN, min_rrf_score=0.03)
    assert [each.id for each in found] == ["a", "c"]


def test_a_score_that_was_looked_up_counts_without_a_rank() -> None:
    found = named(
        by_zscores(
            WORDS, VECTOR, looked_up={"b": (7.0, 0.7), "d": (0.0, 7.0)}, weights=EVEN
        )
    )
    assert (found["b"].vector_rank, found["b"].vector_score) == (0, 0.7)
    assert (found["d"].bm25_rank, found["d"].bm25_score) == (0, 0.0)
    # What a leg itself said stands.
    assert found["b"].bm25_score == 5.0
    assert found["d"].vector_score == 0.1
    for each in found.values():
        assert each.vector_term
        assert each.vector_term.mean == pytest.approx(2.2 / 4)


def test_what_cannot_be_looked_up_contributes_nothing() -> None:
    found = named(by_zscores(WORDS, VECTOR, looked_up={"b": (5.0, None)}, weights=EVEN))
    assert (found["b"].vector_score, found["b"].vector_term) == (None, None)
    # Deleted since it was found: nobody knows it any more.
    assert (found["d"].bm25_score, found["d"].bm25_term) == (None, None)


@given(_hits, _hits, _weights)
def test_every_document_that_a_leg_found_is_there_once(
    bm25: dict[str, float], vector: dict[str, float], weights: Weights
) -> None:
    counted = {each for each in bm25 if weights.bm25}
    counted |= {each for each in vector if weights.vector}
    by_ranks = by_rrf(bm25, vector, k=60, weights=weights, min_rrf_score=None)
    assert sorted(each.id for each in by_ranks) == sorted(counted)
    by_scores = by_zscores(bm25, vector, looked_up={}, weights=weights)
    assert sorted(each.id for each in by_scores) == sorted({*bm25, *vector})
    for each in (*by_ranks, *by_scores):
        ranks = [*bm25].index(each.id) + 1 if each.id in bm25 else 0
        assert each.bm25_rank == ranks
        ranks = [*vector].index(each.id) + 1 if each.id in vector else 0
        assert each.vector_rank == ranks
