"""The closed set of `search_method`, and each of them in words.

    method = base ["+mmr"] ["+rerank"] | base "+rerank+mmr" | "rerank" | "input_order"
    base   = "rrf_hybrid" | "zscore_hybrid" | "vector" | "fulltext"

A stage is appended by the code that saw it succeed, never from the configuration.
"""

from collections.abc import Sequence

INPUT_ORDER = "input_order"
"""How documents stand that a caller brought without saying how they were found."""

_LONG = {
    "rrf_hybrid": "Reciprocal Rank Fusion (Vector + BM25)",
    "zscore_hybrid": "Z-Score Fusion (Vector + BM25)",
    "vector": "Vector similarity search (cosine)",
    "fulltext": "Full-text search (BM25)",
    INPUT_ORDER: "Order received",
}
_SHORT = {
    "rrf_hybrid": "RRF",
    "zscore_hybrid": "Z-Score",
    "vector": "Vector",
    "fulltext": "BM25",
    INPUT_ORDER: "Order received",
}
_RERANK = "Cross-Encoder Reranking"
_MMR = "MMR diversification"

_BASES = ("rrf_hybrid", "zscore_hybrid", "vector", "fulltext")
_STAGES = ("", "+mmr", "+rerank", "+mmr+rerank", "+rerank+mmr")

SEARCH_METHODS = frozenset(
    {base + stages for base in _BASES for stages in _STAGES} | {"rerank", INPUT_ORDER}
)
"""All 22 values."""

RETRIEVED = frozenset(method for method in SEARCH_METHODS if "rerank" not in method)
"""What a caller of Rerank may say about how its documents were found."""


def reranked(method: str) -> str:
    """Append a rerank that succeeded."""
    return "rerank" if method == INPUT_ORDER else f"{method}+rerank"


def requested(base: str, *, rerank: bool, mmr: bool, mmr_first: bool) -> str:
    """Name the method of an answer all of whose stages succeed.

    Args:
        base: How the documents are to be found.
        rerank: Whether they are to be reranked.
        mmr: Whether they are to be made diverse.
        mmr_first: Whether that comes before the rerank.

    """
    if not mmr:
        return reranked(base) if rerank else base
    if not rerank or mmr_first:
        return f"{base}+mmr+rerank" if rerank else f"{base}+mmr"
    return f"{base}+rerank+mmr"


def in_words(method: str, *, relevance_weight: float | None = None) -> str:
    """Describe a method.

    Args:
        method: One of `SEARCH_METHODS`.
        relevance_weight: MMR's λ, where it is known.

    """
    if method == "rerank":
        return _RERANK
    base, *stages = method.split("+")
    if not stages:
        return _LONG[base]
    names = _SHORT if stages[0] == "rerank" else _LONG
    mmr = _MMR
    if relevance_weight is not None:
        mmr += f" (λ={relevance_weight:.2f})"
    words = {"rerank": _RERANK, "mmr": mmr}
    return " + ".join([names[base], *(words[stage] for stage in stages)])


def fell_back_in_words(method: str, failures: Sequence[str]) -> str:
    """Describe an order that stands because reranking failed.

    Args:
        method: How the documents were found.
        failures: What failed, such as `tei: TIMEOUT after 0.80 s`.

    """
    base, *stages = method.split("+")
    stands = " + ".join([_SHORT[base], *(_MMR for _ in stages)])
    return f"{stands} only: reranking fell back ({'; '.join(failures)})"
