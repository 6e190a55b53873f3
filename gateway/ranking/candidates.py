"""From what the legs found to one list of candidates, each with how it got there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.ranking.fusion import Fused, FusionTerm, rrf, zscore_fusion

Hits = Mapping[str, float]
"""What one leg found: scores by id, best first."""

# Words in the query: up to so many, more weight for words; from so many on, for meaning.
_FEW_WORDS = 2
_MANY_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """A document that was found, and what each leg said about it."""

    id: str
    score: float
    """Of the fusion, or of the only leg."""
    bm25_rank: int = 0
    """From 1; 0: the leg did not find it, or was not searched."""
    vector_rank: int = 0
    bm25_score: float | None = None
    """None: not known."""
    vector_score: float | None = None
    bm25_term: FusionTerm | None = None
    """What the leg contributed to `score`; None: nothing, or nothing was fused."""
    vector_term: FusionTerm | None = None


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each leg counts: finite, 0 or more."""

    bm25: float
    vector: float


def weights_for(query: str) -> Weights:
    """Weigh the legs by the length of the query, where the caller wants it so.

    Few words are names and codes, which words find; many are a question, whose meaning
    vectors find. The steps are those of the system that this one replaces.
    """
    words = len(query.split())
    if words <= _FEW_WORDS:
        return Weights(bm25=1.5, vector=0.5)
    if words >= _MANY_WORDS:
        return Weights(bm25=0.5, vector=1.5)
    return Weights(bm25=1.0, vector=1.0)


def by_words(bm25: Hits) -> list[Retrieved]:
    """Take the full-text leg as it is."""
    return [
        Retrieved(id=each, score=score, bm25_rank=rank, bm25_score=score)
        for rank, (each, score) in enumerate(bm25.items(), start=1)
    ]


def by_vector(vector: Hits) -> list[Retrieved]:
    """Take the vector leg as it is."""
    return [
        Retrieved(id=each, score=score, vector_rank=rank, vector_score=score)
        for rank, (each, score) in enumerate(vector.items(), start=1)
    ]


def by_rrf(
    bm25: Hits,
    vector: Hits,
    *,
    k: int,
    weights: Weights,
    min_rrf_score: float | None,
) -> list[Retrieved]:
    """Join both legs by reciprocal ranks (`fusion.rrf`)."""
    fused = rrf(
        [list(bm25), list(vector)],
        k=k,
        weights=[weights.bm25, weights.vector],
        min_rrf_score=min_rrf_score,
    )
    return _described(fused, bm25, vector, bm25, vector)


def by_zscores(
    bm25: Hits,
    vector: Hits,
    *,
    looked_up: Mapping[str, tuple[float, float | None]],
    weights: Weights,
) -> list[Retrieved]:
    """Join both legs by z-scores (`fusion.zscore_fusion`).

    Args:
        bm25: What the full-text leg found.
        vector: What the vector leg found.
        looked_up: BM25 score and cosine of those that only one leg found.
        weights: Of the legs.

    """
    every = dict.fromkeys((*bm25, *vector))
    words: dict[str, float | None] = {}
    cosines: dict[str, float | None] = {}
    for each in every:
        also = looked_up.get(each, (None, None))
        words[each] = bm25[each] if each in bm25 else also[0]
        cosines[each] = vector[each] if each in vector else also[1]
    fused = zscore_fusion([words, cosines], weights=[weights.bm25, weights.vector])
    return _described(fused, bm25, vector, words, cosines)


def _described(
    fused: Iterable[Fused],
    bm25: Hits,
    vector: Hits,
    words: Mapping[str, float | None],
    cosines: Mapping[str, float | None],
) -> list[Retrieved]:
    bm25_ranks, vector_ranks = _ranks(list(bm25)), _ranks(list(vector))
    return [
        Retrieved(
            id=each.id,
            score=each.score,
            bm25_rank=bm25_ranks.get(each.id, 0),
            vector_rank=vector_ranks.get(each.id, 0),
            bm25_score=words.get(each.id),
            vector_score=cosines.get(each.id),
            bm25_term=each.terms[0],
            vector_term=each.terms[1],
        )
        for each in fused
    ]


def _ranks(ids: Sequence[str]) -> dict[str, int]:
    return {each: rank for rank, each in enumerate(ids, start=1)}
