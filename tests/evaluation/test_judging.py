"""Whether a difference is more than chance."""

import numpy as np
import pytest

from gateway.evaluation.judging import compare, interval
from gateway.evaluation.latency import latency
from gateway.evaluation.measuring import MEASURES, MRR, NDCG, RECALL, measured

JUDGEMENTS = {"q1": {"a": 1}, "q2": {"b": 2, "c": 1}, "q3": {"d": 1, "x": 0}}


def test_a_measure_is_computed_for_every_judged_query() -> None:
    orders = {"q1": ["x", "a"], "q2": ["b", "c"]}

    assert measured(MRR, JUDGEMENTS, orders).tolist() == [0.5, 1.0, 0.0]
    assert measured(RECALL, JUDGEMENTS, orders).tolist() == [1.0, 1.0, 0.0]
    assert measured(NDCG, JUDGEMENTS, orders).tolist() == pytest.approx(
        [1 / np.log2(3), 1.0, 0.0]
    )


def test_documents_beyond_the_depth_of_a_measure_do_not_count() -> None:
    eleventh = {"q1": [*(f"n{n}" for n in range(10)), "a"]}
    last = {"q1": [*(f"n{n}" for n in range(100)), "a"]}

    assert measured(MRR, {"q1": {"a": 1}}, eleventh).tolist() == [0.0]
    assert measured(NDCG, {"q1": {"a": 1}}, eleventh).tolist() == [0.0]
    assert measured(RECALL, {"q1": {"a": 1}}, eleventh).tolist() == [1.0]
    assert measured(RECALL, {"q1": {"a": 1}}, last).tolist() == [0.0]


def test_a_measure_follows_the_order_and_not_the_names() -> None:
    judgements = {"q": {"b": 1}}

    for order, value in ((["a", "b"], 0.5), (["b", "a"], 1.0), (["c", "b"], 0.5)):
        assert measured(MRR, judgements, {"q": order}).tolist() == [value]


def test_the_same_order_makes_no_significant_difference() -> None:
    orders = {"q1": ["a"], "q2": ["c", "b"], "q3": ["x"]}

    for each in compare(MEASURES, JUDGEMENTS, orders, orders):
        assert (each.difference, each.low, each.high) == (0, 0, 0)
        assert each.verdict == "no significant difference"


def test_what_is_better_for_every_query_is_significantly_better() -> None:
    judgements = {f"q{n}": {"a": 1} for n in range(20)}
    worse = {query: ["x", "a"] for query in judgements}
    better = {query: ["a", "x"] for query in judgements}

    (up,) = compare([MRR], judgements, worse, better)
    (down,) = compare([MRR], judgements, better, worse)

    assert (up.before, up.after, up.difference) == (0.5, 1.0, 0.5)
    assert up.verdict == "significantly better"
    assert down.verdict == "significantly worse"


def test_what_is_better_for_a_few_and_worse_for_a_few_is_not() -> None:
    judgements = {f"q{n}": {"a": 1} for n in range(20)}
    one = {query: ["x", "a"][:: 1 - 2 * (n % 2)] for n, query in enumerate(judgements)}
    other = {query: order[::-1] for query, order in one.items()}

    (comparison,) = compare([MRR], judgements, one, other)

    assert comparison.low < 0 < comparison.high
    assert comparison.verdict == "no significant difference"


def test_the_interval_is_the_same_every_time_and_for_any_number_of_queries() -> None:
    few = np.random.default_rng(1).normal(0.02, 0.1, 300)
    many = np.random.default_rng(2).normal(0.02, 0.1, 3000)

    assert interval(few) == interval(few)
    low, high = interval(many)
    # The textbook's interval of a mean, to a tenth of its width.
    half = 1.96 * many.std() / np.sqrt(3000)
    assert low == pytest.approx(many.mean() - half, abs=half / 5)
    assert high == pytest.approx(many.mean() + half, abs=half / 5)


def test_latency_is_told_in_three_numbers() -> None:
    told = latency([n / 100 for n in range(1, 102)])

    assert (told.p50_s, told.p95_s) == pytest.approx((0.51, 0.96))
    assert told.p99_s == pytest.approx(1.0)
