"""From plain values to a `SearchResponse`, with as many documents as it has room for."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Execution, Outcome
from gateway.ranking.diversity import Marginal
from gateway.ranking.fusion import FusionTerm
from gateway.retrieval.retriever import Document
from gateway.rpc.search_responses import write_search
from gateway.searching.contract import Explanation, Result, ScoreKind, Searched
from rerank.v1 import execution_pb2, ranking_pb2, search_service_pb2

PLENTY = 4 * 1024 * 1024


def stored(name: str, text: str = "text", **more: Any) -> Document:
    vector = np.array([0.5, -0.25], dtype=np.float32)
    return Document(id=name, title="", text=text, vector=vector, **more)


def result(rank: int, **more: Any) -> Result:
    name = f"doc-{rank}"
    given = {
        "id": name,
        "index": rank - 1,
        "rank": rank,
        "search_method": "rrf_hybrid",
        "retrieval_score": 0.03,
        "score": 0.03,
        "score_kind": ScoreKind.RETRIEVAL,
        "document": stored(name),
        "explanation": Explanation(),
    }
    return Result(**{**given, **more})


def searched(*results: Result) -> Searched:
    return Searched(
        results=results,
        search_method="rrf_hybrid+rerank",
        message="RRF + Cross-Encoder Reranking",
        fallback_triggered=True,
        execution=Execution(
            outcome=Outcome.RERANKED,
            route="default",
            duration_s=0.25,
            unscored_indexes=(3, 200),
        ),
        version=2**40,
    )


def written(
    answer: Searched,
    *,
    explain: bool = False,
    with_vectors: bool = False,
    max_bytes: int = PLENTY,
) -> search_service_pb2.SearchResponse:
    return write_search(
        answer, explain=explain, with_vectors=with_vectors, max_bytes=max_bytes
    )


def with_documents(response: search_service_pb2.SearchResponse) -> list[int]:
    return [each.rank for each in response.results if each.HasField("document")]


def test_the_whole_answer_is_written() -> None:
    response = written(searched(result(1)))
    assert response.search_method == "rrf_hybrid+rerank"
    assert response.message == "RRF + Cross-Encoder Reranking"
    assert response.fallback_triggered
    assert response.version == 2**40
    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert list(response.execution.unscored_indexes) == [3, 200]


def test_an_answer_without_results_is_an_answer() -> None:
    response = written(searched(), max_bytes=0)
    assert not response.results
    assert response.HasField("execution")


def test_each_result_says_where_it_stood_and_where_it_stands() -> None:
    (told,) = written(searched(result(41, index=2))).results
    assert (told.id, told.index, told.rank, told.original_rank) == ("doc-41", 2, 41, 3)
    assert told.search_method == "rrf_hybrid"


def test_a_result_that_nobody_scored_has_no_score_of_a_model() -> None:
    (told,) = written(searched(result(1))).results
    assert (told.score, told.retrieval_score) == (0.03, 0.03)
    assert told.score_kind == ranking_pb2.SCORE_KIND_RETRIEVAL
    assert not told.HasField("rerank_score")
    assert not told.HasField("raw_score")


def test_a_score_of_0_is_a_score() -> None:
    scored = result(
        1,
        score=0.0,
        score_kind=ScoreKind.RERANK,
        rerank_score=0.0,
        raw_score=0.0,
        retrieval_score=0.0,
    )
    (told,) = written(searched(scored)).results
    for name in ("score", "rerank_score", "raw_score", "retrieval_score"):
        assert told.HasField(name), name
    assert told.score_kind == ranking_pb2.SCORE_KIND_RERANK


@pytest.mark.parametrize("kind", ScoreKind)
def test_every_kind_of_score_has_its_name(kind: ScoreKind) -> None:
    (told,) = written(searched(result(1, score_kind=kind))).results
    assert ranking_pb2.ScoreKind.Name(told.score_kind) == f"SCORE_KIND_{kind}"


# Documents


def test_a_document_comes_as_it_was_stored_but_for_its_vector() -> None:
    document = stored("a", group_id="book", metadata='{"year": 2024}')
    response = written(searched(result(1, document=document)))
    assert json_format.MessageToDict(response.results[0].document) == {
        "id": "a",
        "text": "text",
        "groupId": "book",
        "metadata": {"year": 2024.0},
    }


def test_a_document_has_its_vector_where_that_is_wanted() -> None:
    without = result(2, document=replace(stored("b"), vector=None))
    first, second = written(searched(result(1), without), with_vectors=True).results
    assert list(first.document.embedding) == [0.5, -0.25]
    assert not second.document.embedding


def test_a_document_that_was_deleted_meanwhile_is_not_there() -> None:
    answer = searched(result(1), result(2, document=None), result(3))
    assert with_documents(written(answer)) == [1, 3]
    assert [each.id for each in written(answer).results] == ["doc-1", "doc-2", "doc-3"]


def test_documents_are_left_out_from_the_last_one_upward() -> None:
    texts = {1: 10_000, 2: 10_000, 3: 50_000, 4: 10}
    answer = searched(
        *(
            result(rank, document=stored(f"doc-{rank}", "x" * length))
            for rank, length in texts.items()
        )
    )
    response = written(answer, max_bytes=65_536)
    # The last one would fit, but only because the one above is missing.
    assert with_documents(response) == [1, 2]
    assert [each.rank for each in response.results] == [1, 2, 3, 4]
    assert response.ByteSize() <= 65_536


def test_no_result_is_left_out_even_where_no_document_has_room() -> None:
    answer = searched(*(result(rank) for rank in range(1, 101)))
    response = written(answer, max_bytes=0)
    assert len(response.results) == 100
    assert with_documents(response) == []


@given(st.lists(st.integers(0, 20_000), max_size=8), st.integers(0, 40_000))
def test_exactly_as_many_documents_are_there_as_fit(
    lengths: list[int], room: int
) -> None:
    answer = searched(
        *(
            result(rank, document=stored(f"doc-{rank}", "x" * length))
            for rank, length in enumerate(lengths, start=1)
        )
    )
    max_bytes = written(answer, max_bytes=0).ByteSize() + room
    response = written(answer, max_bytes=max_bytes)
    assert response.ByteSize() <= max_bytes
    fitting = with_documents(response)
    assert fitting == list(range(1, len(fitting) + 1))
    if len(fitting) < len(lengths):
        first_left_out = response.results[len(fitting)]
        whole = written(answer).results[len(fitting)]
        first_left_out.document.CopyFrom(whole.document)
        assert response.ByteSize() > max_bytes


@pytest.mark.parametrize("length", [0, 40, 200, 20_000])
def test_the_very_byte_counts(length: int) -> None:
    # Lengths in a message take one to three bytes themselves.
    text = "x" * length
    answer = searched(
        *(result(rank, document=stored("a", text)) for rank in range(1, 4))
    )
    size = written(answer).ByteSize()
    assert with_documents(written(answer, max_bytes=size)) == [1, 2, 3]
    assert with_documents(written(answer, max_bytes=size - 1)) == [1, 2]


# Explanations


def test_nothing_is_explained_unless_that_is_wanted() -> None:
    (told,) = written(searched(result(1))).results
    assert not told.HasField("explanation")


def test_an_explanation_says_what_is_known() -> None:
    explained = Explanation(
        vector_rank=3,
        bm25_rank=1,
        vector_score=0.0,
        bm25_score=7.5,
        vector_term=FusionTerm(value=-0.5, weight=1.0, mean=0.25, deviation=0.0),
        bm25_term=FusionTerm(value=0.016, weight=0.5),
        marginal=Marginal(score=0.5, relevance=0.75, penalty=0.0),
    )
    answer = searched(result(1, explanation=explained))
    (told,) = written(answer, explain=True).results
    assert json_format.MessageToDict(told.explanation) == {
        "vectorRank": 3,
        "bm25Rank": 1,
        "vectorScore": 0.0,
        "bm25Score": 7.5,
        "vectorTerm": {"value": -0.5, "weight": 1.0, "mean": 0.25, "deviation": 0.0},
        "bm25Term": {"value": 0.016, "weight": 0.5},
        "mmrRelevance": 0.75,
        "mmrPenalty": 0.0,
    }


def test_an_explanation_says_nothing_about_what_is_not_known() -> None:
    (told,) = written(searched(result(1)), explain=True).results
    assert told.HasField("explanation")
    assert json_format.MessageToDict(told.explanation) == {}
