"""From one number per document to the order that a caller gets."""

import random
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gateway.ranking.answer import Placed, at_least, at_most_per_group, order
from gateway.ranking.normalize import Scale, normalize

RAW = st.lists(
    st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=30
)
# Few values, so that ties are common.
TIED = st.lists(st.none() | st.sampled_from([-1.0, 0.0, 0.5, 2.0]), max_size=30)
SCALES = st.sampled_from(Scale)


def indexes(placed: list[Placed]) -> list[int]:
    return [each.index for each in placed]


# Order


def test_the_best_comes_first() -> None:
    placed = order([0.80, 0.60, 0.95], Scale.PROBABILITY)
    assert indexes(placed) == [2, 0, 1]
    assert [each.rank for each in placed] == [1, 2, 3]
    assert [each.raw_score for each in placed] == [0.95, 0.80, 0.60]


def test_published_logits_come_in_their_order() -> None:
    # sentence-transformers, "How many people live in Berlin?"
    placed = order([8.607138, -4.3200774, 5.506266, 6.352977], Scale.LOGIT)
    assert indexes(placed) == [0, 3, 2, 1]


def test_ties_keep_the_order_received() -> None:
    assert indexes(order([1.0, 2.0, 1.0, 2.0, 1.0], Scale.LOGIT)) == [1, 3, 0, 2, 4]


def test_zero_and_minus_zero_are_a_tie() -> None:
    assert indexes(order([-0.0, 0.0, -0.0], Scale.LOGIT)) == [0, 1, 2]


def test_scores_that_saturate_are_still_told_apart() -> None:
    placed = order([40.0, 45.0, 50.0], Scale.LOGIT)
    assert indexes(placed) == [2, 1, 0]
    assert {each.rerank_score for each in placed} == {1.0}


def test_unscored_documents_stand_below_in_the_order_received() -> None:
    placed = order([None, -9.0, None, 3.0, None], Scale.LOGIT)
    assert indexes(placed) == [3, 1, 0, 2, 4]
    assert [each.rerank_score is None for each in placed] == [False] * 2 + [True] * 3
    assert [each.rank for each in placed] == [1, 2, 3, 4, 5]


def test_without_any_score_the_order_received_stands() -> None:
    assert order([None, None], None) == [
        Placed(index=0, rank=1),
        Placed(index=1, rank=2),
    ]


def test_nothing_is_ordered_to_nothing() -> None:
    assert order([], Scale.LOGIT) == []


@given(RAW, SCALES)
def test_nothing_is_lost_and_nothing_is_invented(
    raw: list[float | None], scale: Scale
) -> None:
    placed = order(raw, scale)
    assert sorted(indexes(placed)) == list(range(len(raw)))
    assert [each.rank for each in placed] == list(range(1, len(raw) + 1))
    assert [each.raw_score for each in placed] == [raw[each.index] for each in placed]


@given(RAW | TIED, SCALES)
def test_the_order_never_contradicts_the_raw_scores(
    raw: list[float | None], scale: Scale
) -> None:
    placed = order(raw, scale)
    for above, below in pairwise(placed):
        if below.raw_score is None:
            assert above.raw_score is not None or above.index < below.index
        else:
            assert above.raw_score is not None
            assert (-above.raw_score, above.index) < (-below.raw_score, below.index)


@given(st.lists(st.floats(-50, 50), unique=True, max_size=20), st.randoms())
def test_the_order_received_does_not_matter_where_no_two_scores_are_equal(
    raw: list[float], chance: random.Random
) -> None:
    documents = list(enumerate(raw))
    chance.shuffle(documents)
    shuffled = order([number for _, number in documents], Scale.LOGIT)
    assert [documents[each.index][0] for each in shuffled] == indexes(
        order(raw, Scale.LOGIT)
    )


@given(TIED, SCALES)
def test_the_same_scores_give_the_same_answer(
    raw: list[float | None], scale: Scale
) -> None:
    assert order(raw, scale) == order(list(raw), scale)


@given(RAW, SCALES)
def test_scores_are_the_normalised_raw_scores(
    raw: list[float | None], scale: Scale
) -> None:
    for each in order(raw, scale):
        expected = None if each.raw_score is None else normalize(each.raw_score, scale)
        assert each.rerank_score == expected


# Thresholds


def test_a_threshold_keeps_what_reaches_it() -> None:
    placed = order([0.9, 0.5, 0.2], Scale.PROBABILITY)
    assert indexes(at_least(placed, 0.3)) == [0, 1]
    assert indexes(at_least(placed, 0.5)) == [0, 1]


def test_a_threshold_is_about_the_normalised_score() -> None:
    placed = order([-0.1, 0.1], Scale.LOGIT)
    assert indexes(at_least(placed, 0.5)) == [1]
    assert indexes(at_least(placed, 0.0)) == [1, 0]


def test_a_threshold_removes_unscored_documents_too() -> None:
    assert indexes(at_least(order([None, 0.4], Scale.PROBABILITY), 0.0)) == [1]


def test_nothing_left_above_a_threshold_is_an_answer() -> None:
    assert at_least(order([0.1], Scale.PROBABILITY), 0.9) == []


@given(RAW | TIED, SCALES, st.floats(0, 1))
def test_a_threshold_removes_only_what_is_below_it(
    raw: list[float | None], scale: Scale, min_score: float
) -> None:
    before = order(raw, scale)
    kept = at_least(before, min_score)
    assert indexes(kept) == [
        each.index
        for each in before
        if each.rerank_score is not None and each.rerank_score >= min_score
    ]
    assert [each.rank for each in kept] == list(range(1, len(kept) + 1))


# Groups


def test_only_the_best_of_each_group_are_kept() -> None:
    placed = order([1.0, 5.0, 4.0, 3.0, 2.0], Scale.LOGIT)
    kept = at_most_per_group(placed, ["a", "a", "b", "a", "b"], 1)
    assert indexes(kept) == [1, 2]
    assert [each.rank for each in kept] == [1, 2]


def test_documents_of_no_group_are_never_removed_for_it() -> None:
    placed = order([3.0, 2.0, 1.0], Scale.LOGIT)
    assert indexes(at_most_per_group(placed, ["", "", ""], 1)) == [0, 1, 2]


@given(RAW, st.data(), st.integers(1, 3))
def test_a_bound_on_groups_removes_nothing_else(
    raw: list[float | None], data: st.DataObject, most: int
) -> None:
    groups = data.draw(
        st.lists(st.sampled_from(["", "a", "b"]), min_size=len(raw), max_size=len(raw))
    )
    before = order(raw, Scale.LOGIT)
    kept = indexes(at_most_per_group(before, groups, most))
    for name in ("a", "b"):
        of_group = [index for index in indexes(before) if groups[index] == name]
        assert [index for index in kept if groups[index] == name] == of_group[:most]
    assert [index for index in kept if not groups[index]] == [
        index for index in indexes(before) if not groups[index]
    ]
