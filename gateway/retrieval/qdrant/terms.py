"""From texts to the sparse vectors in which BM25 is a dot product.

A document's weight of a term is what BM25 gives it but for the idf, which Qdrant multiplies
in when it is asked (`modifier=IDF`): only it knows how many documents have the term.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.retrieval.terms import term_counts

# Lucene's defaults.
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.75


@dataclass(frozen=True, slots=True)
class Sparse:
    """A sparse vector; empty: there is no term."""

    indices: list[int]
    values: list[float]


def asked(text: str) -> Sparse:
    """Give the vector to ask with: how often each term occurs."""
    return _sparse({term: float(count) for term, count in term_counts(text).items()})


def weighed(text: str, *, mean_terms: float) -> Sparse:
    """Give the vector of a document.

    Args:
        text: Its title and text.
        mean_terms: How many terms a document is taken to have on average.

    """
    counts = term_counts(text)
    length = sum(counts.values())
    norm = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / mean_terms)
    return _sparse({term: count / (count + norm) for term, count in counts.items()})


def _sparse(weights: Mapping[str, float]) -> Sparse:
    """Number the terms by their hashes; two that share one count as one term.

    That befalls one term in 40 000 of a vocabulary of 100 000.
    """
    found: dict[int, float] = {}
    for term, weight in weights.items():
        digest = hashlib.blake2b(term.encode("utf-8", "replace"), digest_size=4)
        number = int.from_bytes(digest.digest())
        found[number] = found.get(number, 0.0) + weight
    return Sparse(list(found), list(found.values()))
