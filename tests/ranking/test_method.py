"""The closed set of `search_method`, and each of them in words."""

import pytest

from gateway.ranking.method import (
    INPUT_ORDER,
    RETRIEVED,
    SEARCH_METHODS,
    fell_back_in_words,
    in_words,
    reranked,
)


def test_the_set_is_closed_and_has_22_values() -> None:
    assert sorted(SEARCH_METHODS) == [
        "fulltext",
        "fulltext+mmr",
        "fulltext+mmr+rerank",
        "fulltext+rerank",
        "fulltext+rerank+mmr",
        "input_order",
        "rerank",
        "rrf_hybrid",
        "rrf_hybrid+mmr",
        "rrf_hybrid+mmr+rerank",
        "rrf_hybrid+rerank",
        "rrf_hybrid+rerank+mmr",
        "vector",
        "vector+mmr",
        "vector+mmr+rerank",
        "vector+rerank",
        "vector+rerank+mmr",
        "zscore_hybrid",
        "zscore_hybrid+mmr",
        "zscore_hybrid+mmr+rerank",
        "zscore_hybrid+rerank",
        "zscore_hybrid+rerank+mmr",
    ]
    assert len(SEARCH_METHODS) == 22


def test_what_a_caller_may_have_done_is_the_part_without_rerank() -> None:
    assert len(RETRIEVED) == 9
    assert INPUT_ORDER in RETRIEVED
    assert all("rerank" not in method for method in RETRIEVED)


@pytest.mark.parametrize("method", sorted(RETRIEVED))
def test_a_rerank_leads_to_another_value_of_the_set(method: str) -> None:
    assert reranked(method) in SEARCH_METHODS - RETRIEVED


def test_the_order_received_is_not_a_stage_of_its_own() -> None:
    assert reranked(INPUT_ORDER) == "rerank"


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("rrf_hybrid", "Reciprocal Rank Fusion (Vector + BM25)"),
        ("zscore_hybrid", "Z-Score Fusion (Vector + BM25)"),
        ("vector", "Vector similarity search (cosine)"),
        ("fulltext", "Full-text search (BM25)"),
        ("input_order", "Order received"),
        ("rerank", "Cross-Encoder Reranking"),
        ("rrf_hybrid+rerank", "RRF + Cross-Encoder Reranking"),
        ("zscore_hybrid+rerank", "Z-Score + Cross-Encoder Reranking"),
        ("vector+rerank", "Vector + Cross-Encoder Reranking"),
        ("fulltext+rerank", "BM25 + Cross-Encoder Reranking"),
        (
            "rrf_hybrid+mmr+rerank",
            (
                "Reciprocal Rank Fusion (Vector + BM25) + MMR diversification"
                " + Cross-Encoder Reranking"
            ),
        ),
        (
            "rrf_hybrid+rerank+mmr",
            "RRF + Cross-Encoder Reranking + MMR diversification",
        ),
    ],
)
def test_each_method_in_words(method: str, words: str) -> None:
    assert in_words(method) == words


def test_mmr_names_its_weight_where_it_is_known() -> None:
    assert in_words("rrf_hybrid+mmr", relevance_weight=0.7) == (
        "Reciprocal Rank Fusion (Vector + BM25) + MMR diversification (λ=0.70)"
    )


@pytest.mark.parametrize("method", sorted(SEARCH_METHODS))
def test_every_method_has_words_of_its_own(method: str) -> None:
    others = {in_words(other) for other in SEARCH_METHODS - {method}}
    assert in_words(method) not in others


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("rrf_hybrid", "RRF only: reranking fell back (tei: TIMEOUT after 0.80 s)"),
        (
            "rrf_hybrid+mmr",
            (
                "RRF + MMR diversification only:"
                " reranking fell back (tei: TIMEOUT after 0.80 s)"
            ),
        ),
        (
            "input_order",
            "Order received only: reranking fell back (tei: TIMEOUT after 0.80 s)",
        ),
    ],
)
def test_a_fallback_says_what_failed(method: str, words: str) -> None:
    assert fell_back_in_words(method, ["tei: TIMEOUT after 0.80 s"]) == words


def test_a_fallback_names_every_backend_that_failed() -> None:
    failures = ["tei: TIMEOUT after 0.80 s", "cohere: RATE_LIMITED after 0.03 s"]
    assert fell_back_in_words("vector", failures) == (
        "Vector only: reranking fell back"
        " (tei: TIMEOUT after 0.80 s; cohere: RATE_LIMITED after 0.03 s)"
    )
