"""From plain values to a `RerankResponse`."""

import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.backends.errors import Attempt, FailureReason
from gateway.backends.scorer import Usage
from gateway.contract import Execution, Outcome, Reranked, Stage, StageOutcome
from gateway.ranking.answer import Placed
from gateway.rpc.responses import duration_of, write_execution, write_rerank
from rerank.v1 import (
    document_pb2,
    execution_pb2,
    ranking_pb2,
    rerank_service_pb2,
)

REQUEST = rerank_service_pb2.RerankRequest(
    query="q",
    documents=[
        document_pb2.Document(id="a", text="A", score=0.25, embedding=[1.0]),
        document_pb2.Document(id="b", text="B"),
        document_pb2.Document(text="C", score=0.0),
    ],
)
EXECUTION = Execution(outcome=Outcome.RERANKED, route="default", duration_s=0.25)
RERANKED = Reranked(
    results=(
        Placed(index=1, rank=1, raw_score=2.0, rerank_score=0.88),
        Placed(index=0, rank=2, raw_score=0.0, rerank_score=0.5),
        Placed(index=2, rank=3),
    ),
    search_method="vector+rerank",
    tail_method="vector",
    message="Vector + Cross-Encoder Reranking",
    fallback_triggered=False,
    execution=EXECUTION,
)


def test_each_result_says_where_it_stood_and_where_it_stands() -> None:
    response = write_rerank(REQUEST, RERANKED)
    assert [
        (each.id, each.index, each.rank, each.original_rank)
        for each in response.results
    ] == [("b", 1, 1, 2), ("a", 0, 2, 1), ("", 2, 3, 3)]
    assert response.search_method == "vector+rerank"
    assert response.message == "Vector + Cross-Encoder Reranking"
    assert not response.fallback_triggered


def test_a_scored_result_is_placed_by_its_rerank_score() -> None:
    best, second, _ = write_rerank(REQUEST, RERANKED).results
    assert (best.score, best.raw_score, best.rerank_score) == (0.88, 2.0, 0.88)
    assert best.score_kind == ranking_pb2.SCORE_KIND_RERANK
    assert best.search_method == "vector+rerank"
    assert not best.HasField("retrieval_score")
    assert second.retrieval_score == 0.25
    assert second.HasField("raw_score")  # zero is a score


def test_an_unscored_result_has_the_number_it_came_with_and_no_other() -> None:
    tail = write_rerank(REQUEST, RERANKED).results[2]
    assert not tail.HasField("rerank_score")
    assert not tail.HasField("raw_score")
    assert tail.HasField("score")
    assert tail.score == 0.0
    assert tail.score_kind == ranking_pb2.SCORE_KIND_RETRIEVAL
    assert tail.search_method == "vector"


def test_a_result_that_nobody_ever_scored_has_no_number_at_all() -> None:
    request = rerank_service_pb2.RerankRequest(documents=[document_pb2.Document()])
    reranked = Reranked(
        results=(Placed(index=0, rank=1),),
        search_method="input_order",
        tail_method="input_order",
        message="",
        fallback_triggered=True,
        execution=EXECUTION,
    )
    (result,) = write_rerank(request, reranked).results
    assert not result.HasField("score")
    assert result.score_kind == ranking_pb2.SCORE_KIND_UNSPECIFIED


def test_documents_come_back_only_when_asked_for_and_vectors_only_then() -> None:
    plain = write_rerank(REQUEST, RERANKED)
    assert not any(each.HasField("document") for each in plain.results)
    request = rerank_service_pb2.RerankRequest()
    request.CopyFrom(REQUEST)
    request.return_documents = True
    second = write_rerank(request, RERANKED).results[1]
    assert (second.document.text, list(second.document.embedding)) == ("A", [])
    request.return_embeddings = True
    second = write_rerank(request, RERANKED).results[1]
    assert list(second.document.embedding) == [1.0]
    assert list(request.documents[0].embedding) == [1.0]


def test_everything_that_happened_is_written() -> None:
    written = write_execution(
        Execution(
            outcome=Outcome.PARTIALLY_RERANKED,
            route="fast",
            duration_s=1.5,
            fallback_reason=FailureReason.RATE_LIMITED,
            backend="tei",
            model="bge",
            attempts=(
                Attempt("cohere", "", FailureReason.TOO_LARGE, 0.25, 7),
                Attempt("tei", "bge", None, 0.5, 7),
            ),
            stages=(
                Stage("rerank", StageOutcome.DEGRADED, 1.5, FailureReason.TOO_LARGE),
            ),
            scored_count=6,
            cached_count=1,
            unscored_indexes=(3,),
            truncated_indexes=(1, 2),
            min_score_applied=True,
            usage=Usage(search_units=1.5, tokens=70),
        )
    )
    assert written == execution_pb2.Execution(
        outcome=execution_pb2.OUTCOME_PARTIALLY_RERANKED,
        fallback_reason=execution_pb2.FALLBACK_REASON_RATE_LIMITED,
        route="fast",
        backend="tei",
        model="bge",
        attempts=[
            execution_pb2.Attempt(
                backend="cohere",
                failure_reason=execution_pb2.FALLBACK_REASON_TOO_LARGE,
                duration=Duration(nanos=250_000_000),
                document_count=7,
            ),
            execution_pb2.Attempt(
                backend="tei",
                model="bge",
                duration=Duration(nanos=500_000_000),
                document_count=7,
            ),
        ],
        stages=[
            execution_pb2.Stage(
                name="rerank",
                outcome=execution_pb2.STAGE_OUTCOME_DEGRADED,
                reason=execution_pb2.FALLBACK_REASON_TOO_LARGE,
                duration=Duration(seconds=1, nanos=500_000_000),
            )
        ],
        scored_count=6,
        cached_count=1,
        unscored_indexes=[3],
        truncated_indexes=[1, 2],
        min_score_applied=True,
        usage=execution_pb2.Usage(search_units=1.5, tokens=70),
        duration=Duration(seconds=1, nanos=500_000_000),
    )


def test_more_tokens_than_the_contract_can_count_are_as_many_as_it_can() -> None:
    usage = Usage(tokens=10**30)
    written = write_execution(
        Execution(outcome=Outcome.RERANKED, route="r", duration_s=0, usage=usage)
    )
    assert written.usage.tokens == 2**31 - 1


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0.0, Duration()),
        (0.113, Duration(nanos=113_000_000)),
        (2.3, Duration(seconds=2, nanos=300_000_000)),
        (0.9999999999, Duration(seconds=1)),
        (59.9999999996, Duration(seconds=60)),
        (1e-10, Duration()),
    ],
)
def test_a_duration_is_written_to_the_nearest_nanosecond(
    seconds: float, written: Duration
) -> None:
    assert duration_of(seconds) == written
