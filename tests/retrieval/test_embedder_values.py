"""What an embedder gives."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from gateway.backends.scorer import Usage
from gateway.retrieval.embedder import Embeddings, refuse_blank


def test_vectors_tell_their_dimension_and_cannot_be_changed() -> None:
    found = Embeddings(vectors=np.eye(3, dtype=np.float32), model="m")
    assert found.dimension == 3
    assert found.usage == Usage()
    with pytest.raises(ValueError, match="read-only"):
        found.vectors[0, 0] = 2
    with pytest.raises(FrozenInstanceError):
        found.model = "other"  # type: ignore[misc]  # that is what is tested


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones(3, dtype=np.float32),
        np.eye(3, dtype=np.float64),
        np.zeros((0, 3), dtype=np.float32),
        np.zeros((3, 0), dtype=np.float32),
        np.ones((1, 1, 1), dtype=np.float32),
    ],
    ids=lambda vectors: f"{vectors.dtype}{vectors.shape}",
)
def test_what_is_no_list_of_vectors_is_refused(
    vectors: np.typing.NDArray[np.generic],
) -> None:
    with pytest.raises(ValueError, match="vectors are float"):
        Embeddings(vectors=vectors, model="m")  # type: ignore[arg-type]  # likewise


@pytest.mark.parametrize("number", [0.0, 0.99, 1.01, -2.0, float("nan"), float("inf")])
def test_what_has_no_length_of_one_is_refused(number: float) -> None:
    vectors = np.array([[1, 0], [number, 0]], dtype=np.float32)
    with pytest.raises(ValueError, match="not of length 1"):
        Embeddings(vectors=vectors, model="m")


@pytest.mark.parametrize("number", [1.0, -1.0, 0.9999999, 1.0003])
def test_rounding_is_no_other_length(number: float) -> None:
    Embeddings(vectors=np.array([[number, 0]], dtype=np.float32), model="m")


def test_what_is_blank_is_a_mistake_of_the_caller() -> None:
    refuse_blank(["a", " b "])
    with pytest.raises(ValueError, match="no text"):
        refuse_blank([])
    with pytest.raises(ValueError, match="text 1 is blank"):
        refuse_blank(["a", "\u2028 "])


def test_naming_what_there_is_costs_no_numpy() -> None:
    program = (
        "import sys, gateway.retrieval.embedder, gateway.retrieval.embedders as e; "
        "assert set(e.DIALECTS) == {'cohere', 'openai', 'tei'}; "
        "sys.exit('numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own
