"""What an answer, or an error within a batch, says of itself."""

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from rerank_client import (
    InvalidRequest,
    RerankError,
    Unavailable,
    Violation,
    answer_of,
    fallback_reason,
    fell_back,
    in_order,
)
from rerank_client.types import (
    ErrorReason,
    Execution,
    FallbackReason,
    FieldViolation,
    Outcome,
    RankedDocument,
    RerankBatchError,
    RerankBatchResponse,
    RerankResponse,
    SearchResponse,
)

NEW = 99


def answer(outcome: int, *, scored: bool = False) -> RerankResponse:
    response = RerankResponse(
        results=[RankedDocument(rerank_score=0 if scored else None)]
    )
    response.execution.outcome = outcome  # type: ignore[assignment]  # one that is new too
    return response


@pytest.mark.parametrize("outcome", Outcome.values())
def test_only_one_outcome_is_a_fallback(outcome: int) -> None:
    assert fell_back(answer(outcome)) == (outcome == Outcome.OUTCOME_FELL_BACK)


def test_a_new_outcome_is_read_by_its_scores() -> None:
    assert fell_back(answer(NEW))
    assert not fell_back(answer(NEW, scored=True))


def test_a_reason_has_its_name() -> None:
    response = SearchResponse(
        execution=Execution(fallback_reason=FallbackReason.FALLBACK_REASON_TIMEOUT)
    )
    assert fallback_reason(response) == "TIMEOUT"
    assert fallback_reason(SearchResponse()) == ""
    response.execution.fallback_reason = NEW  # type: ignore[assignment]  # from a newer server
    assert fallback_reason(response) == "99"


def test_what_was_sent_is_put_in_order() -> None:
    response = RerankResponse(
        results=[RankedDocument(index=2), RankedDocument(index=0)]
    )
    assert in_order(["a", "b", "c"], response) == ["c", "a"]


def test_one_answer_of_a_batch_is_an_answer() -> None:
    response = RerankBatchResponse(response=RerankResponse(message="m"))
    assert answer_of(response).message == "m"


def test_one_error_of_a_batch_is_that_of_its_own_call() -> None:
    error = RerankBatchError(
        code=3,
        message="m",
        reason=ErrorReason.ERROR_REASON_INVALID_REQUEST,
        metadata={"field": "query"},
        violations=[FieldViolation(field="query", description="must not be blank")],
    )
    with pytest.raises(InvalidRequest) as raised:
        answer_of(RerankBatchResponse(error=error))
    assert raised.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.reason == "INVALID_REQUEST"
    assert raised.value.metadata == {"field": "query"}
    assert raised.value.violations == (Violation("query", "must not be blank"),)
    assert raised.value.retry_delay_s is None
    assert raised.value.execution is None


def test_a_failed_rerank_of_a_batch_says_when_and_how() -> None:
    error = RerankBatchError(
        code=14,
        message="m",
        reason=ErrorReason.ERROR_REASON_RERANK_FAILED,
        retry_delay=Duration(seconds=1, nanos=500_000_000),
        execution=Execution(route="default"),
    )
    with pytest.raises(Unavailable) as raised:
        answer_of(RerankBatchResponse(error=error))
    assert raised.value.retry_delay_s == 1.5
    assert raised.value.execution == Execution(route="default")


def test_codes_and_reasons_may_be_new() -> None:
    error = RerankBatchError(code=NEW, reason=NEW)  # type: ignore[arg-type]  # newer server
    with pytest.raises(RerankError) as raised:
        answer_of(RerankBatchResponse(error=error))
    assert raised.value.code is grpc.StatusCode.UNKNOWN
    assert raised.value.reason == "99"
