"""Diversity, against numbers worked out by hand and against the definition."""

import math
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from gateway.ranking.diversity import Diversified, Marginal, mmr

coordinates = st.integers(min_value=-9, max_value=9).map(float)
vectors = st.none() | st.lists(coordinates, min_size=3, max_size=3)
candidates = st.lists(
    st.tuples(st.floats(min_value=-1e6, max_value=1e6), vectors), max_size=9
)
lambdas = st.floats(min_value=0, max_value=1)

EAST, NORTH, WEST = [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]
NORTH_EAST = [1.0, 1.0]


def indices(placed: Sequence[Diversified]) -> list[int]:
    return [each.index for each in placed]


def marginals(placed: Sequence[Diversified]) -> list[Marginal]:
    return [each.marginal for each in placed if each.marginal]


def test_numbers_worked_out_by_hand() -> None:
    # Scaled: 1, 0.8, 0.6, 0. The cosine of east and north-east is 0.7071.
    half = math.sqrt(0.5)

    placed = mmr(
        [10.0, 8.0, 6.0, 0.0],
        [EAST, EAST, NORTH_EAST, NORTH],
        relevance_weight=0.5,
        pool=4,
    )

    # First round: 0.5, 0.4, 0.3, 0; second: 0.4 - 0.5, 0.3 - 0.3536, 0 - 0; third:
    # 0.4 - 0.5 and 0.3 - 0.3536.
    assert indices(placed) == [0, 3, 2, 1]
    chosen = marginals(placed)
    assert [each.score for each in chosen] == pytest.approx(
        [0.5, 0.0, 0.3 - half / 2, -0.1]
    )
    assert [each.relevance for each in chosen] == pytest.approx([1.0, 0.0, 0.6, 0.8])
    assert [each.penalty for each in chosen] == pytest.approx([0.0, 0.0, half, 1.0])


def test_reciprocal_ranks_are_not_drowned_by_cosines() -> None:
    # Unscaled, a cosine of 0.7071 would outweigh any difference of reciprocal ranks.
    placed = mmr(
        [2 / 61, 2 / 62, 1 / 120],
        [EAST, NORTH_EAST, NORTH],
        relevance_weight=0.7,
        pool=3,
    )

    assert indices(placed) == [0, 1, 2]


def test_duplicates_of_one_document_are_pushed_apart() -> None:
    placed = mmr(
        [1.0, 0.99, 0.98, 0.6, 0.0],
        [EAST, EAST, [7.0, 0.0], NORTH, [1.0, 5.0]],
        relevance_weight=0.7,
        pool=3,
    )

    assert indices(placed) == [0, 3, 1, 2, 4]


def test_those_not_chosen_stand_below_in_their_order() -> None:
    placed = mmr([1.0, 3.0, 2.0], [None] * 3, relevance_weight=0.7, pool=1)

    assert indices(placed) == [1, 0, 2]
    assert [each.marginal is None for each in placed] == [False, True, True]


def test_documents_without_a_direction_are_like_no_other() -> None:
    placed = mmr(
        [4.0, 3.0, 2.0, 1.0],
        [EAST, None, [0.0, 0.0], EAST],
        relevance_weight=0.2,
        pool=4,
    )

    assert indices(placed) == [0, 1, 2, 3]
    assert [each.penalty for each in marginals(placed)] == [0.0, 0.0, 0.0, 1.0]


def test_opposites_are_no_better_than_strangers() -> None:
    placed = mmr([3.0, 2.0, 1.0], [EAST, NORTH, WEST], relevance_weight=0.0, pool=3)

    assert indices(placed) == [0, 1, 2]
    assert [each.penalty for each in marginals(placed)] == [0.0, 0.0, 0.0]


def test_equal_relevance_is_full_relevance() -> None:
    placed = mmr([5.0, 5.0, 5.0], [EAST, EAST, NORTH], relevance_weight=0.5, pool=3)

    assert indices(placed) == [0, 2, 1]
    assert [each.relevance for each in marginals(placed)] == [1.0, 1.0, 1.0]


def test_nothing_to_choose_and_none_to_be_chosen() -> None:
    assert mmr([], [], relevance_weight=0.7, pool=10) == []
    assert mmr([1.0], [EAST], relevance_weight=0.7, pool=0) == [Diversified(0, None)]


def test_every_document_needs_a_vector_or_none() -> None:
    with pytest.raises(ValueError, match="1 vectors for 2 documents"):
        mmr([1.0, 2.0], [None], relevance_weight=0.7, pool=1)


def test_vectors_of_different_dimension_have_no_cosine() -> None:
    with pytest.raises(ValueError, match="inhomogeneous"):
        mmr([1.0, 2.0], [EAST, [1.0]], relevance_weight=0.7, pool=1)


@pytest.mark.parametrize("length", [1e-200, 1.0, 1e200])
def test_the_length_of_a_vector_does_not_matter(length: float) -> None:
    long = [length * 3, length * 4]

    placed = mmr([2.0, 1.0], [[3.0, 4.0], long], relevance_weight=0.0, pool=2)

    assert marginals(placed)[1].penalty == pytest.approx(1.0)


def test_what_was_given_stays_as_it_was() -> None:
    relevance = [1.0, 0.9, 0.1]
    given_vectors: list[NDArray[np.float32] | None] = [
        np.array([3, 0], dtype=np.float32),
        np.array([4, 0], dtype=np.float32),
        None,
    ]

    mmr(relevance, given_vectors, relevance_weight=0.3, pool=3)

    assert relevance == [1.0, 0.9, 0.1]
    assert [each if each is None else each.tolist() for each in given_vectors] == [
        [3.0, 0.0],
        [4.0, 0.0],
        None,
    ]


def test_lists_are_really_reordered() -> None:
    random = np.random.default_rng(1)
    reordered = 0
    for _ in range(50):
        relevance = sorted(random.random(10).tolist(), reverse=True)
        pile = list(random.normal(size=(10, 4)))
        placed = mmr(relevance, pile, relevance_weight=0.7, pool=10)
        reordered += indices(placed) != list(range(10))

    assert reordered > 45


def test_the_place_of_a_long_vector_does_not_change_its_last_bits() -> None:
    random = np.random.default_rng(1)
    pile = random.normal(size=(101, 384)).astype(np.float32)
    relevance = random.random(101)
    shuffled = random.permutation(101)

    straight = mmr(relevance.tolist(), list(pile), relevance_weight=0.3, pool=101)
    other = mmr(
        relevance[shuffled].tolist(),
        list(pile[shuffled]),
        relevance_weight=0.3,
        pool=101,
    )

    assert [shuffled[each.index] for each in other] == indices(straight)
    assert marginals(other) == marginals(straight)


@given(candidates, lambdas, st.integers(min_value=0, max_value=10))
def test_every_document_once_and_the_parts_make_the_score(
    pile: list[tuple[float, list[float] | None]], weight: float, pool: int
) -> None:
    placed = mmr(
        [each for each, _ in pile],
        [vector for _, vector in pile],
        relevance_weight=weight,
        pool=pool,
    )

    assert sorted(indices(placed)) == list(range(len(pile)))
    assert len(marginals(placed)) == min(pool, len(pile))
    assert all(each.marginal is None for each in placed[pool:])
    assert indices(placed[pool:]) == sorted(indices(placed[pool:]))
    for each in marginals(placed):
        assert 0.0 <= each.relevance <= 1.0
        assert 0.0 <= each.penalty <= 1.0
        assert each.score == weight * each.relevance - (1 - weight) * each.penalty
        assert weight - 1 <= each.score <= weight


@given(candidates, lambdas)
def test_each_choice_is_the_best_one_by_the_definition(
    pile: list[tuple[float, list[float] | None]], weight: float
) -> None:
    placed = mmr(
        [each for each, _ in pile],
        [vector for _, vector in pile],
        relevance_weight=weight,
        pool=len(pile),
    )

    relevance = {
        each.index: each.marginal.relevance for each in placed if each.marginal
    }
    for place, chosen in enumerate(placed):
        above = [pile[each.index][1] for each in placed[:place]]
        best = max(
            weight * relevance[each.index]
            - (1 - weight) * likeness(pile[each.index][1], above)
            for each in placed[place:]
        )
        assert chosen.marginal
        assert chosen.marginal.score == pytest.approx(best, abs=1e-9)


def likeness(vector: list[float] | None, others: Sequence[list[float] | None]) -> float:
    return max([0.0, *(cosine(vector, other) for other in others)])


def cosine(one: list[float] | None, other: list[float] | None) -> float:
    if one is None or other is None or not any(one) or not any(other):
        return 0.0
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (math.hypot(*one) * math.hypot(*other))


@given(candidates)
def test_relevance_only_is_the_order_of_relevance(
    pile: list[tuple[float, list[float] | None]],
) -> None:
    relevance = [each for each, _ in pile]

    placed = mmr(
        relevance,
        [vector for _, vector in pile],
        relevance_weight=1.0,
        pool=len(pile),
    )

    # Equal ones in the order given.
    assert indices(placed) == sorted(
        range(len(pile)), key=lambda each: -relevance[each]
    )


def test_relevance_that_scaling_makes_equal_still_decides() -> None:
    placed = mmr([0.0, 5e-324, 1e300], [None, None, None], relevance_weight=1.0, pool=3)

    assert indices(placed) == [2, 1, 0]


def test_relevance_may_be_as_far_apart_as_numbers_can_be() -> None:
    placed = mmr([-1.7e308, 0.0, 1.7e308], [None] * 3, relevance_weight=1.0, pool=3)

    assert indices(placed) == [2, 1, 0]
    assert [each.relevance for each in marginals(placed)] == [1.0, 0.5, 0.0]


@given(
    st.lists(st.tuples(st.integers(), vectors), unique_by=lambda each: each[0]),
    lambdas,
    st.randoms(),
)
def test_the_places_of_the_documents_do_not_matter(
    pile: list[tuple[int, list[float] | None]], weight: float, random: Random
) -> None:
    def chosen(order: Sequence[int]) -> list[tuple[int, Marginal | None]]:
        placed = mmr(
            [float(rank) for rank in order],
            [pile[rank][1] for rank in order],
            relevance_weight=weight,
            pool=len(order),
        )
        return [(order[each.index], each.marginal) for each in placed]

    order = list(range(len(pile)))
    shuffled = order.copy()
    random.shuffle(shuffled)

    assert chosen(shuffled) == chosen(order)
