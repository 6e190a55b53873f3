"""Four judges made one number."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.local.blend import blend, blend_brought, unit
from gateway.backends.local.features import Features, features_of, words_of
from tests.backends.local.fake_encoder import FakeEncoder

texts = st.lists(st.sampled_from(["disk", "fail", "cat", "dog"]), max_size=5).map(
    " ".join
)
candidates = st.lists(
    st.tuples(texts, st.integers(min_value=1, max_value=20)), min_size=1, max_size=6
)


def features(text: str) -> Features:
    return features_of(text, None, FakeEncoder())


def test_the_sum_of_four_zscores_by_hand() -> None:
    # Two documents: the better one of a judge gets 1, the other -1.
    scores = blend(
        features("disk fail"), [features("disk fail"), features("cat")], ranks=[2, 1]
    )

    assert scores == pytest.approx([1 + 1 + 1 - 1, -1 - 1 - 1 + 1])


def test_brought_vectors_replace_the_cosine_and_maxsim() -> None:
    scores = blend_brought(
        words_of("disk"),
        [words_of("disk"), words_of("cat")],
        ranks=[1, 2],
        query_vector=unit([1, 0]),
        vectors=[unit([0, 5]), unit([2, 0])],
    )

    assert scores == pytest.approx([1 - 1 + 1, -1 + 1 - 1])


def test_a_text_without_word_pieces_does_not_break_maxsim() -> None:
    scores = blend(features(""), [features("cat"), features("")], ranks=[1, 2])

    assert np.isfinite(scores).all()


def test_vectors_are_needed() -> None:
    with pytest.raises(ValueError, match="without vectors"):
        blend(words_of("disk"), [words_of("disk")], ranks=[1])


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_a_vector_of_any_length_gets_length_one(scale: float) -> None:
    assert unit([3 * scale, 4 * scale]) == pytest.approx([0.6, 0.8])


def test_a_vector_of_zeros_stays_one() -> None:
    assert unit([0.0, 0.0]).tolist() == [0.0, 0.0]


@given(texts, candidates, st.randoms())
def test_the_places_of_the_documents_do_not_matter(
    query: str, documents: list[tuple[str, int]], random: Random
) -> None:
    known = {text: features(text) for text, _ in documents}

    def scores(chosen: list[tuple[str, int]]) -> list[float]:
        return blend(
            features(query),
            [known[text] for text, _ in chosen],
            ranks=[rank for _, rank in chosen],
        )

    order = list(range(len(documents)))
    random.shuffle(order)
    straight = scores(documents)

    assert scores([documents[place] for place in order]) == [
        straight[place] for place in order
    ]
