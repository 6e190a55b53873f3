"""What a model's numbers mean, and how they become scores from 0 to 1."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ranking.normalize import Scale, normalize, out_of_range, sigmoid

FINITE = st.floats(allow_nan=False, allow_infinity=False)

PUBLISHED_LOGITS = [
    # text-embeddings-inference, backends/candle/tests/snapshots
    (-2.5560656, 0.0720200),
    (-0.6045344, 0.3533070),
    # ggml-org/llama.cpp#8555
    (7.7418, 0.999566),
    (-2.3369, 0.088113),
    (3.8466, 0.979094),
    (-11.0164, 1.64e-5),
    (-10.9613, 1.74e-5),
    # sentence-transformers, ms-marco-MiniLM-L6-v2
    (8.607138, 0.9998173),
    (-4.3200774, 0.01312432),
    # FlagEmbedding: bge-reranker-v2-m3, -large and -base
    (-5.65234375, 0.0034970),
    (-8.1875, 0.00027803),
    (5.26171875, 0.99484038),
    (-1.5263671875, 0.1785258),
    (-5.60546875, 0.0036642),
    (5.76171875, 0.9968642),
    (-8.15439224, 0.00028739),
    (6.18211174, 0.99793820),
]


@pytest.mark.parametrize(("logit", "probability"), PUBLISHED_LOGITS)
def test_logits_become_the_probabilities_that_their_models_publish(
    logit: float, probability: float
) -> None:
    assert normalize(logit, Scale.LOGIT) == pytest.approx(
        probability, rel=5e-3 if probability < 1e-4 else 5e-5
    )


def test_the_sigmoid_is_stable_far_from_zero() -> None:
    assert sigmoid(0.0) == 0.5
    assert sigmoid(1000.0) == 1.0
    assert sigmoid(-1000.0) == 0.0
    assert 0.0 < sigmoid(-700.0) < 1e-300
    assert sigmoid(1e308) == 1.0
    assert sigmoid(-1e308) == 0.0


@given(FINITE)
def test_the_sigmoid_is_symmetric(logit: float) -> None:
    assert sigmoid(logit) + sigmoid(-logit) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("raw", "scale", "score"),
    [
        (0.0, Scale.LOGIT, 0.5),
        (0.0, Scale.RELATIVE, 0.5),
        (0.3, Scale.PROBABILITY, 0.3),
        (-1.0, Scale.COSINE, 0.0),
        (0.0, Scale.COSINE, 0.5),
        (0.5, Scale.COSINE, 0.75),
        (1.0, Scale.COSINE, 1.0),
    ],
)
def test_each_scale_has_its_own_way_to_0_to_1(
    raw: float, scale: Scale, score: float
) -> None:
    assert normalize(raw, scale) == score


@pytest.mark.parametrize(
    ("raw", "scale", "score"),
    [
        (1.0000005, Scale.PROBABILITY, 1.0),
        (-0.0000005, Scale.PROBABILITY, 0.0),
        (1.0000005, Scale.COSINE, 1.0),
        (-1.0000005, Scale.COSINE, 0.0),
    ],
)
def test_a_rounding_error_beyond_the_range_is_cut_off(
    raw: float, scale: Scale, score: float
) -> None:
    assert not out_of_range(raw, scale)
    assert normalize(raw, scale) == score


@pytest.mark.parametrize(
    ("raw", "scale"),
    [
        (1.1, Scale.PROBABILITY),
        (-0.1, Scale.PROBABILITY),
        (7.7418, Scale.PROBABILITY),
        (1.1, Scale.COSINE),
        (-1.1, Scale.COSINE),
        (math.nan, Scale.PROBABILITY),
        (math.nan, Scale.COSINE),
        (math.nan, Scale.LOGIT),
        (math.inf, Scale.LOGIT),
        (-math.inf, Scale.RELATIVE),
    ],
)
def test_a_number_that_its_scale_cannot_have_is_noticed(
    raw: float, scale: Scale
) -> None:
    assert out_of_range(raw, scale)


@pytest.mark.parametrize("scale", [Scale.LOGIT, Scale.RELATIVE])
def test_a_logit_may_be_any_finite_number(scale: Scale) -> None:
    assert not out_of_range(-1e300, scale)


@given(FINITE, FINITE, st.sampled_from(Scale))
def test_no_two_numbers_ever_change_places(a: float, b: float, scale: Scale) -> None:
    low, high = sorted((a, b))
    assert 0.0 <= normalize(low, scale) <= normalize(high, scale) <= 1.0
