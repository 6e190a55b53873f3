"""Which status code an error becomes, and what its details say."""

from typing import TypeVar

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from gateway.backends.errors import Attempt, FailureReason
from gateway.contract import Execution, Outcome
from gateway.errors import (
    GatewayError,
    InvalidRequest,
    RerankFailed,
    UnknownBackend,
    UnknownRoute,
    Violation,
)
from gateway.rpc.refusal import INTERNAL, to_refusal
from gateway.rpc.status import to_status
from rerank.v1 import error_reason_pb2, execution_pb2

M = TypeVar("M", bound=Message)

# A client takes this much trailing metadata by default, and drops the whole status
# where it is more.
METADATA_BYTES = 8 * 1024


def status_of(error: GatewayError) -> grpc.Status:
    return to_status(to_refusal(error))


def rich(status: grpc.Status) -> status_pb2.Status:
    ((key, value),) = status.trailing_metadata
    assert key == "grpc-status-details-bin"
    # Binary metadata travels in base64.
    assert len(value) * 4 / 3 + len(status.details.encode()) < METADATA_BYTES
    written = status_pb2.Status.FromString(value)
    assert written.code == status.code.value[0]
    assert written.message == status.details
    return written


def detail(status: grpc.Status, kind: type[M]) -> M:
    found = []
    for packed in rich(status).details:
        each = kind()
        if packed.Unpack(each):
            found.append(each)
    assert len(found) == 1, f"{kind.__name__} is there {len(found)} times"
    return found[0]


def info(status: grpc.Status) -> tuple[str, str, dict[str, str]]:
    told = detail(status, error_details_pb2.ErrorInfo)
    assert error_reason_pb2.ErrorReason.Value(f"ERROR_REASON_{told.reason}")
    return told.reason, told.domain, dict(told.metadata)


def failed(
    *, transient: bool, retry_after_s: float | None = None, documents: int = 2
) -> RerankFailed:
    attempts = tuple(
        Attempt(f"backend_{number}", "m" * 20, FailureReason.TIMEOUT, 0.8, 100)
        for number in range(documents)
    )
    execution = Execution(
        outcome=Outcome.FELL_BACK,
        route="default",
        duration_s=0.8,
        fallback_reason=FailureReason.TIMEOUT,
        attempts=attempts,
        unscored_indexes=tuple(range(documents)),
        truncated_indexes=tuple(range(documents)),
    )
    return RerankFailed(
        "Order received only: reranking fell back",
        execution,
        transient=transient,
        retry_after_s=retry_after_s,
    )


def test_the_callers_mistakes_are_an_invalid_argument_with_all_of_them() -> None:
    status = status_of(
        InvalidRequest(
            (
                Violation("documents[3].text", "must have at most 20 bytes"),
                Violation("top_n", "must not be negative"),
            )
        )
    )
    assert status.code is grpc.StatusCode.INVALID_ARGUMENT
    assert info(status) == (
        "INVALID_REQUEST",
        "rerank.v1",
        {"field": "documents[3].text", "violation_count": "2"},
    )
    bad = detail(status, error_details_pb2.BadRequest)
    assert [(each.field, each.description) for each in bad.field_violations] == [
        ("documents[3].text", "must have at most 20 bytes"),
        ("top_n", "must not be negative"),
    ]


def test_a_thousand_mistakes_still_arrive() -> None:
    violations = tuple(
        Violation(f"documents[{number}].id", "must be unique, is that of documents[0]")
        for number in range(1000)
    )
    status = status_of(InvalidRequest(violations))
    bad = detail(status, error_details_pb2.BadRequest)
    shown = len(bad.field_violations) - 1
    assert shown > 20
    assert (
        bad.field_violations[shown].description == f"and {999 - shown} more violations"
    )
    assert info(status)[2]["violation_count"] == "1000"


def test_an_unknown_route_is_not_found() -> None:
    status = status_of(UnknownRoute("legal"))
    assert status.code is grpc.StatusCode.NOT_FOUND
    assert status.details == "there is no route 'legal'"
    assert info(status) == ("ROUTE_NOT_FOUND", "rerank.v1", {"route": "legal"})


def test_an_unknown_backend_is_not_found() -> None:
    status = status_of(UnknownBackend("tei" * 1000))
    assert status.code is grpc.StatusCode.NOT_FOUND
    reason, _, metadata = info(status)
    assert reason == "BACKEND_NOT_FOUND"
    assert metadata["backend"] == ("tei" * 1000)[:64] + "…"


@pytest.mark.parametrize("letter", ["x", "ü", "🗄"])
def test_the_name_of_a_route_of_any_length_still_arrives(letter: str) -> None:
    status = status_of(UnknownRoute(letter * 100_000))
    assert status.code is grpc.StatusCode.NOT_FOUND
    assert info(status)[2]["route"] == letter * 64 + "…"


def test_a_failure_that_may_pass_is_unavailable_and_says_when_to_come_back() -> None:
    status = status_of(failed(transient=True, retry_after_s=7.3))
    assert status.code is grpc.StatusCode.UNAVAILABLE
    assert info(status) == (
        "RERANK_FAILED",
        "rerank.v1",
        {"route": "default", "backend": "backend_1", "fallback_reason": "TIMEOUT"},
    )
    retry = detail(status, error_details_pb2.RetryInfo)
    assert retry.retry_delay == Duration(seconds=7, nanos=300_000_000)
    execution = detail(status, execution_pb2.Execution)
    assert execution.outcome == execution_pb2.OUTCOME_FELL_BACK
    assert execution.fallback_reason == execution_pb2.FALLBACK_REASON_TIMEOUT
    assert len(execution.attempts) == 2


def test_without_a_word_from_the_backend_a_second_will_do() -> None:
    retry = detail(status_of(failed(transient=True)), error_details_pb2.RetryInfo)
    assert retry.retry_delay == Duration(seconds=1)


def test_a_failure_for_good_is_a_failed_precondition_without_a_retry() -> None:
    status = status_of(failed(transient=False))
    assert status.code is grpc.StatusCode.FAILED_PRECONDITION
    kinds = [packed.TypeName() for packed in rich(status).details]
    assert kinds == ["google.rpc.ErrorInfo", "rerank.v1.Execution"]


def test_a_failure_over_a_thousand_documents_still_arrives() -> None:
    status = status_of(failed(transient=True, documents=1000))
    execution = detail(status, execution_pb2.Execution)
    assert [each.backend for each in execution.attempts][-1] == "backend_999"
    assert not execution.unscored_indexes


def test_a_bug_says_nothing_about_its_cause() -> None:
    status = to_status(INTERNAL)
    assert status.code is grpc.StatusCode.INTERNAL
    assert status.details == "internal error"
    assert info(status) == ("INTERNAL", "rerank.v1", {})


def test_an_error_of_a_kind_that_nobody_thought_of_is_a_bug() -> None:
    status = status_of(GatewayError("secret"))
    assert status.code is grpc.StatusCode.INTERNAL
    assert "secret" not in status.details
