"""BM25 over the documents at hand, with no other collection than these."""

import math
from collections.abc import Mapping, Sequence

# Lucene's defaults.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75


def bm25(
    query: Mapping[str, int], documents: Sequence[Mapping[str, int]]
) -> list[float]:
    """Score every document against the query, as Lucene does since its version 8.

    Document frequencies and the mean length are those of `documents`; the idf is
    ln(1 + (N - df + 0.5) / (df + 0.5)), so it is never negative; k1 = 1.2, b = 0.75.

    Args:
        query: How often each term occurs in the query; a term that occurs twice counts
            twice.
        documents: How often each term occurs in each document.

    Returns:
        One number of 0 or more per document, in their order; 0 where no term of the
        query occurs. Equal documents get equal numbers, whatever their places.

    """
    lengths = [sum(document.values()) for document in documents]
    total = sum(lengths)
    if not total:
        return [0.0] * len(documents)
    mean_length = total / len(documents)
    # The part of the denominator that does not depend on the term.
    norms = [
        _SATURATION * (1.0 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / mean_length)
        for length in lengths
    ]
    weights = {
        term: count * _idf(term, documents) for term, count in sorted(query.items())
    }
    return [
        math.fsum(
            weight * document[term] / (document[term] + norm)
            for term, weight in weights.items()
            if term in document
        )
        for document, norm in zip(documents, norms, strict=True)
    ]


def _idf(term: str, documents: Sequence[Mapping[str, int]]) -> float:
    """Weigh a term: the fewer documents have it, the more it says."""
    found = sum(term in document for document in documents)
    return math.log1p((len(documents) - found + 0.5) / (found + 0.5))
