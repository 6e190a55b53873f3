"""Four judges of a document, each weak alone, made one number."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.backends.local.encoder import Encoding
from gateway.backends.local.features import Features
from gateway.backends.scorer import Evidence
from gateway.ranking.bm25 import bm25
from gateway.ranking.fusion import zscores

Vector = NDArray[np.float64]

# As in reciprocal rank fusion: the first places differ little, the last hardly at all.
_RANK_OFFSET = 60


def blend(
    query: Features, documents: Sequence[Features], *, ranks: Sequence[int]
) -> list[float]:
    """Add up the z-scores of BM25, cosine, MaxSim and 1 / (60 + rank received).

    Every z-score is over these documents, so a number says something only beside the
    others of its call. Equal weights: fitted ones were no better on collections that
    they were not fitted on. Documents with equal features and equal ranks get equal
    numbers, and the order of the documents does not matter, to the last bit.

    MaxSim is the mean, over the word pieces of the query, of the largest cosine with a
    word piece of the document; without any there is none, and it is 0. [CLS] and [SEP]
    do not take part on either side: alone, MaxSim is up to 0.008 of nDCG@10 better
    with the query's, but in the sum that is 0.001 on one collection, 0 or less on
    others (SciFact, Cranfield, BoolQ), so they are not worth their bytes.

    Raises:
        ValueError: The query or a document has no encoding.

    """
    ours = _encoding(query)
    # One document at a time, or the place in a matrix would change the last bits.
    cosines = _each_once(
        documents, lambda each: float(ours.sentence @ _encoding(each).sentence)
    )
    words = ours.tokens.astype(np.float32)
    maxsims = _each_once(documents, lambda each: _maxsim(words, _encoding(each)))
    return _sum(
        zscores(bm25(query.terms, [each.terms for each in documents])),
        zscores(cosines),
        zscores(maxsims),
        _places(ranks),
    )


def blend_brought(
    query: Features,
    documents: Sequence[Features],
    *,
    ranks: Sequence[int],
    query_vector: Vector,
    vectors: Sequence[Vector],
) -> list[float]:
    """Do as `blend`, with the caller's vectors for the cosine and without MaxSim.

    Args:
        query: The query's terms.
        documents: The documents' terms.
        ranks: The documents' places in the order received, from 1.
        query_vector: The query's vector, of length 1 or 0.
        vectors: The documents' vectors, likewise and of the same dimension.

    """
    return _sum(
        zscores(bm25(query.terms, [each.terms for each in documents])),
        zscores([float(query_vector @ vector) for vector in vectors]),
        _places(ranks),
    )


def blend_evidence(evidence: Sequence[Evidence]) -> list[float]:
    """Do as `blend`, with what a collection says: BM25 and cosine over all its documents.

    Without the rank received, which stands for exactly these two: mean nDCG@10 over
    eight collections is 0.707 like this, against 0.689 for the order of reciprocal ranks.
    """
    return _sum(
        zscores([each.bm25 for each in evidence]),
        zscores([each.cosine for each in evidence]),
    )


def unit(numbers: Sequence[float]) -> Vector:
    """Scale a vector to length 1; one of zeros stays as it is, with cosine 0 to all."""
    vector = np.array(numbers, dtype=np.float64)
    largest = np.abs(vector).max(initial=0.0)
    if not largest:
        return vector
    # In two steps: the square of 1e200 is infinite.
    vector /= largest
    scaled: Vector = vector / np.linalg.norm(vector)
    return scaled


def _maxsim(query_words: NDArray[np.float32], document: Encoding) -> float:
    if not len(query_words) or not len(document.tokens):
        return 0.0
    cosines = query_words @ document.tokens.astype(np.float32).T
    return float(cosines.max(axis=1).mean())


def _encoding(features: Features) -> Encoding:
    if features.encoding is None:
        message = "a text without vectors cannot be blended with its cosine"
        raise ValueError(message)
    return features.encoding


def _each_once(
    documents: Sequence[Features], judge: Callable[[Features], float]
) -> list[float]:
    """Judge a document that stands here several times once."""
    distinct = {id(each): each for each in documents}
    judged = {name: judge(each) for name, each in distinct.items()}
    return [judged[id(each)] for each in documents]


def _places(ranks: Sequence[int]) -> list[float]:
    return zscores([1.0 / (_RANK_OFFSET + rank) for rank in ranks])


def _sum(*judges: Sequence[float]) -> list[float]:
    return [sum(numbers) for numbers in zip(*judges, strict=True)]
