"""Documents and queries by chance, the same ones each time, with texts like language.

Words are as common as in a language (Zipf) and no stemmer changes them; vectors come in
clusters and have far fewer dimensions than numbers, as those of models do.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.retrieval.retriever import Document

DIMENSION = 384

_SEED = 7
_WORDS = 50_000
_ZIPF = 1.05
_SHORTEST, _LONGEST = 60, 100
_CLUSTERS = 200
_INTRINSIC = 48
# Nobody searches for the commonest words alone, and stop words are left out of queries.
_TOO_COMMON = 20
_FEWEST_TERMS, _MOST_TERMS = 3, 8
_SYLLABLES = [a + b for a in "bdfgklmnprtvz" for b in "aou"]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A query as it reaches the first stage."""

    text: str
    vector: NDArray[np.float32]


def documents(*, start: int, count: int) -> list[Document]:
    """Make those with the numbers from `start` on; a number has the same one always."""
    made = []
    for number in range(start, start + count):
        chance = np.random.default_rng((_SEED, 1, number))
        length = int(chance.integers(_SHORTEST, _LONGEST + 1))
        text = " ".join(_draw(chance, length, skipped=0))
        made.append(Document(f"doc-{number}", "", text, vector(number)))
    return made


def queries(*, count: int, among: int) -> Iterator[Asked]:
    """Make queries whose vectors are near those of some of `among` documents."""
    for number in range(count):
        chance = np.random.default_rng((_SEED, 2, number))
        terms = int(chance.integers(_FEWEST_TERMS, _MOST_TERMS + 1))
        text = " ".join(_draw(chance, terms, skipped=_TOO_COMMON))
        near = vector(int(chance.integers(among)))
        moved = near + chance.normal(0, 0.3 / np.sqrt(DIMENSION), DIMENSION)
        yield Asked(text, _of_length_1(moved))


def vector(number: int) -> NDArray[np.float32]:
    """Make the vector of a document."""
    chance = np.random.default_rng((_SEED, 3, number))
    cluster = _CENTRES[int(chance.integers(_CLUSTERS))]
    inner = cluster + chance.normal(0, 0.7, _INTRINSIC)
    noise = chance.normal(0, 0.05, DIMENSION)
    return _of_length_1(inner @ _BASIS + noise)


def _draw(chance: np.random.Generator, count: int, *, skipped: int) -> Iterator[str]:
    least = _CUMULATED[skipped - 1] if skipped else 0.0
    for place in np.searchsorted(_CUMULATED, chance.uniform(least, 1.0, count)):
        yield _word(min(int(place), _WORDS - 1))


def _word(place: int) -> str:
    syllables = []
    for _ in range(3):
        place, which = divmod(place, len(_SYLLABLES))
        syllables.append(_SYLLABLES[which])
    return "".join(syllables) + "k"


def _of_length_1(values: NDArray[np.float64]) -> NDArray[np.float32]:
    return (values / np.linalg.norm(values)).astype(np.float32)


_WEIGHTS = 1.0 / np.arange(1, _WORDS + 1) ** _ZIPF
_CUMULATED = np.cumsum(_WEIGHTS / _WEIGHTS.sum())
_FIXED = np.random.default_rng((_SEED, 0))
_CENTRES = _FIXED.normal(0, 1, (_CLUSTERS, _INTRINSIC))
_BASIS = _FIXED.normal(0, 1 / np.sqrt(DIMENSION), (_INTRINSIC, DIMENSION))
