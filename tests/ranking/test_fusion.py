"""Making numbers of different kinds addable, and joining lists with them."""

import math
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ranking.fusion import Fused, FusionTerm, rrf, zscore_fusion, zscores

numbers = st.lists(st.floats(min_value=-1e6, max_value=1e6), max_size=12)
documents = st.sampled_from("abcdefgh")
lists = st.lists(documents, max_size=8, unique=True)
weights = st.floats(min_value=0, max_value=4).filter(lambda each: not 0 < each < 1e-9)
scores = st.none() | st.floats(min_value=-1e3, max_value=1e3)
scored = st.lists(documents, unique=True).flatmap(
    lambda names: st.tuples(
        *2 * [st.fixed_dictionaries(dict.fromkeys(names, scores))],
    )
)


def joined(
    *legs: Sequence[str],
    k: int = 60,
    weights: Sequence[float] | None = None,
    min_rrf_score: float | None = None,
) -> list[Fused]:
    return rrf(
        legs,
        k=k,
        weights=weights or [1.0] * len(legs),
        min_rrf_score=min_rrf_score,
    )


def ids(fused: Sequence[Fused]) -> list[str]:
    return [each.id for each in fused]


def fillers(leg: str, count: int) -> list[str]:
    return [f"{leg}{place}" for place in range(count)]


def test_distances_from_the_mean_in_standard_deviations() -> None:
    # Mean 5, standard deviation 2: the textbook's example.
    assert zscores([2, 4, 4, 4, 5, 5, 7, 9]) == [-1.5, -0.5, -0.5, -0.5, 0, 0, 1, 2]


@pytest.mark.parametrize("values", [[], [7.0], [0.1] * 7, [-3.0, -3.0]])
def test_values_that_are_all_equal_say_nothing(values: list[float]) -> None:
    assert zscores(values) == [0.0] * len(values)


def test_values_closer_than_a_square_can_express_say_nothing() -> None:
    assert zscores([0.0, 1e-200]) == [0.0, 0.0]


@given(numbers)
def test_the_order_is_kept_and_ties_stay_ties(values: list[float]) -> None:
    scores = zscores(values)

    assert all(math.isfinite(score) for score in scores)
    for value, score in zip(values, scores, strict=True):
        for other, other_score in zip(values, scores, strict=True):
            assert value > other or score <= other_score
            assert value != other or score == other_score


@given(numbers, st.randoms())
def test_the_places_of_the_values_do_not_matter(
    values: list[float], random: Random
) -> None:
    order = list(range(len(values)))
    random.shuffle(order)

    scores = zscores(values)

    assert zscores([values[place] for place in order]) == [
        scores[place] for place in order
    ]


def test_reference_numbers_of_reciprocal_ranks() -> None:
    # First on one list alone, first on both, second and fifth.
    assert joined(["a"], [])[0].score == pytest.approx(1 / 61)
    assert joined(["a"], [])[0].score == pytest.approx(0.0163934, abs=5e-8)
    assert joined(["a"], ["a"])[0].score == pytest.approx(0.0327869, abs=5e-8)
    second_and_fifth = joined(["v", "a"], [*fillers("w", 4), "a"])[0]
    assert second_and_fifth.id == "a"
    assert second_and_fifth.score == pytest.approx(0.0315136, abs=5e-8)


def test_both_summands_are_reported() -> None:
    [both, one] = joined(["a", "b"], ["a"], k=1, weights=[1.0, 3.0])

    assert both == Fused(
        "a", 2.0, (FusionTerm(value=0.5, weight=1.0), FusionTerm(1.5, weight=3.0))
    )
    assert one == Fused("b", 1 / 3, (FusionTerm(value=1 / 3, weight=1.0), None))


def test_a_weight_of_zero_switches_a_leg_off() -> None:
    fused = joined(["a", "b"], ["c", "b"], weights=[0.0, 1.0])

    assert ids(fused) == ["c", "b"]
    assert [each.terms[0] for each in fused] == [None, None]


@pytest.mark.parametrize("legs", [(), ([], [])])
def test_nothing_found(legs: tuple[list[str], ...]) -> None:
    assert joined(*legs) == []


def test_what_stands_on_one_list_alone_ties_and_the_first_leg_precedes() -> None:
    # b and x, c and y have equal scores; their ids would say otherwise.
    assert ids(joined(["x", "y"], ["b", "c"])) == ["x", "b", "y", "c"]
    assert ids(joined(["b", "c"], ["x", "y"])) == ["b", "x", "c", "y"]


def test_swapped_ranks_tie_and_the_first_leg_decides() -> None:
    assert ids(joined(["b", "a"], ["a", "b"])) == ["b", "a"]


def test_no_tie_is_broken_by_a_leg_that_is_switched_off() -> None:
    fused = rrf(
        [["b", "a"], ["a"], ["b"]],
        k=60,
        weights=[0.0, 1.0, 1.0],
        min_rrf_score=None,
    )

    assert ids(fused) == ["a", "b"]


@pytest.mark.parametrize(("weight", "last"), [(1.0, 40), (1.5, 90), (0.5, 0)])
def test_a_bound_keeps_what_has_exactly_that_score(weight: float, last: int) -> None:
    fused = joined(fillers("a", 100), weights=[weight], min_rrf_score=0.01)

    assert ids(fused) == fillers("a", last)


def test_a_document_named_twice_would_shift_all_below_it() -> None:
    with pytest.raises(ValueError, match="twice"):
        joined(["a", "b", "a"], [])


def test_every_leg_needs_its_weight() -> None:
    with pytest.raises(ValueError, match="shorter"):
        joined(["a"], [], weights=[1.0])
    with pytest.raises(ValueError, match="shorter"):
        zscore_fusion([{"a": 1.0}, {"a": 1.0}], weights=[1.0])


@given(lists, lists, weights, weights, st.integers(min_value=1, max_value=10_000))
def test_every_document_once_and_its_terms_are_its_score(
    one: list[str], other: list[str], weight: float, other_weight: float, k: int
) -> None:
    fused = joined(one, other, k=k, weights=[weight, other_weight])

    found = {*(one if weight else []), *(other if other_weight else [])}
    assert sorted(ids(fused)) == sorted(found)
    for each in fused:
        assert each.score == sum(term.value for term in each.terms if term)
    values = [each.score for each in fused]
    assert values == sorted(values, reverse=True)


@given(lists, lists, st.data())
def test_a_better_rank_never_hurts(
    one: list[str], other: list[str], data: st.DataObject
) -> None:
    if len(one) < 2:
        return
    place = data.draw(st.integers(min_value=1, max_value=len(one) - 1))
    risen = one.copy()
    risen[place - 1], risen[place] = risen[place], risen[place - 1]

    before, after = joined(one, other), joined(risen, other)

    name = one[place]
    assert ids(after).index(name) <= ids(before).index(name)
    assert score_of(name, after) > score_of(name, before)


@given(lists, lists)
def test_the_order_of_the_legs_changes_no_score(
    one: list[str], other: list[str]
) -> None:
    forth, back = joined(one, other), joined(other, one)

    assert {each.id: each.score for each in forth} == {
        each.id: each.score for each in back
    }


def score_of(name: str, fused: Sequence[Fused]) -> float:
    return next(each.score for each in fused if each.id == name)


def test_the_sum_of_two_zscores_by_hand() -> None:
    # Means 5 and 0.5; deviations 2 and 0.25, of the numbers 3, 7 and 0.25, 0.75.
    fused = zscore_fusion(
        [{"a": 3.0, "b": 7.0}, {"a": 0.75, "b": 0.25}], weights=[1.0, 3.0]
    )

    assert fused == [
        Fused("a", 2.0, (FusionTerm(-1, 1, 5, 2), FusionTerm(3, 3, 0.5, 0.25))),
        Fused("b", -2.0, (FusionTerm(1, 1, 5, 2), FusionTerm(-3, 3, 0.5, 0.25))),
    ]


def test_a_leg_with_equal_scores_contributes_zeros_and_says_why() -> None:
    [first, second] = zscore_fusion([{"a": 0.1, "b": 0.1}], weights=[2.0])

    assert first == Fused("a", 0.0, (FusionTerm(0.0, 2.0, 0.1, 0.0),))
    assert second.terms == first.terms


def test_a_score_that_cannot_be_known_is_not_invented() -> None:
    fused = zscore_fusion(
        [{"a": 3.0, "b": None, "c": 7.0}, {"a": 0.0, "b": 3.0, "c": 0.0}],
        weights=[1.0, 1.0],
    )

    # The first leg's mean and deviation are those of 3 and 7.
    by_name = {each.id: each for each in fused}
    assert by_name["c"].terms[0] == FusionTerm(1.0, 1.0, 5.0, 2.0)
    assert by_name["b"].terms[0] is None
    assert by_name["b"].score == pytest.approx(math.sqrt(2))


def test_a_leg_that_knows_nothing() -> None:
    fused = zscore_fusion([{"b": None, "a": None}], weights=[1.0])

    assert fused == [Fused("a", 0.0, (None,)), Fused("b", 0.0, (None,))]


def test_a_weight_of_zero_leaves_the_other_leg_to_decide() -> None:
    fused = zscore_fusion(
        [{"a": 9.0, "b": 1.0}, {"a": 1.0, "b": 2.0}], weights=[0.0, 1.0]
    )

    assert ids(fused) == ["b", "a"]
    assert fused[0].terms[0] is None


def test_equal_sums_of_zscores_are_told_apart_by_the_first_leg() -> None:
    fused = zscore_fusion(
        [{"a": 0.0, "b": 1.0}, {"a": 1.0, "b": 0.0}], weights=[1.0, 1.0]
    )

    assert [each.score for each in fused] == [0.0, 0.0]
    assert ids(fused) == ["b", "a"]


def test_scores_for_different_candidates_were_not_looked_up() -> None:
    with pytest.raises(ValueError, match="different candidates"):
        zscore_fusion([{"a": 1.0}, {"b": 1.0}], weights=[1.0, 1.0])


def test_no_leg_and_no_candidate() -> None:
    assert zscore_fusion([], weights=[]) == []
    assert zscore_fusion([{}, {}], weights=[1.0, 1.0]) == []


@given(scored, weights, weights, st.randoms())
def test_zscores_join_every_candidate_whatever_their_order(
    legs: tuple[dict[str, float | None], dict[str, float | None]],
    weight: float,
    other_weight: float,
    random: Random,
) -> None:
    fused = zscore_fusion(legs, weights=[weight, other_weight])

    assert sorted(ids(fused)) == sorted(legs[0])
    for each in fused:
        assert math.isfinite(each.score)
        assert each.score == sum(term.value for term in each.terms if term)
    names = list(legs[0])
    random.shuffle(names)
    shuffled = [{name: leg[name] for name in names} for leg in legs]
    assert zscore_fusion(shuffled, weights=[weight, other_weight]) == fused


@given(numbers)
def test_one_leg_alone_keeps_its_order(values: list[float]) -> None:
    leg = {str(place): value for place, value in enumerate(values)}

    fused = zscore_fusion([leg], weights=[1.0])

    assert [each.score for each in fused] == sorted(zscores(values), reverse=True)
