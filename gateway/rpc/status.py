"""Which status code an error becomes, and what its details say.

The code follows from what a caller should do next: only UNAVAILABLE invites it to try
the same call again.
"""

from dataclasses import replace

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.errors import (
    CollectionAlreadyThere,
    CollectionNotFound,
    DocumentNotFound,
    GatewayError,
    InvalidRequest,
    OutOfTime,
    RerankFailed,
    RetrievalNotConfigured,
    RetrievalUnavailable,
    TooOld,
    UnknownBackend,
    UnknownRoute,
    Violation,
)
from gateway.rpc.responses import duration_of, write_execution
from rerank.v1 import error_reason_pb2

_DOMAIN = "rerank.v1"

# A client takes 8 KiB of trailing metadata by default, and drops the whole status
# where it is more.
_MAX_VIOLATIONS_BYTES = 4096
_MAX_ATTEMPTS = 20

_RETRY_AFTER_S = 1.0


def to_status(error: GatewayError) -> grpc.Status:
    """Write an error as a status with details."""
    match error:
        case InvalidRequest():
            return _status(
                grpc.StatusCode.INVALID_ARGUMENT,
                str(error),
                error_reason_pb2.ERROR_REASON_INVALID_REQUEST,
                {
                    "field": error.violations[0].field,
                    "violation_count": str(len(error.violations)),
                },
                _bad_request(error.violations),
            )
        case UnknownRoute():
            return _status(
                grpc.StatusCode.NOT_FOUND,
                str(error),
                error_reason_pb2.ERROR_REASON_ROUTE_NOT_FOUND,
                {"route": error.route},
            )
        case UnknownBackend():
            return _status(
                grpc.StatusCode.NOT_FOUND,
                str(error),
                error_reason_pb2.ERROR_REASON_BACKEND_NOT_FOUND,
                {"backend": error.backend},
            )
        case RerankFailed():
            return _rerank_failed(error)
        case OutOfTime():
            return _status(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                str(error),
                error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED,
                {},
            )
    return _of_retrieval(error) or internal()


def _of_retrieval(error: GatewayError) -> grpc.Status | None:
    match error:
        case CollectionNotFound():
            code = grpc.StatusCode.NOT_FOUND
            reason = error_reason_pb2.ERROR_REASON_COLLECTION_NOT_FOUND
            metadata = {"collection": error.collection}
        case DocumentNotFound():
            code = grpc.StatusCode.NOT_FOUND
            reason = error_reason_pb2.ERROR_REASON_DOCUMENT_NOT_FOUND
            metadata = {"collection": error.collection, "id": error.document}
        case CollectionAlreadyThere():
            code = grpc.StatusCode.ALREADY_EXISTS
            reason = error_reason_pb2.ERROR_REASON_COLLECTION_ALREADY_EXISTS
            metadata = {"collection": error.collection}
        case RetrievalNotConfigured():
            code = grpc.StatusCode.FAILED_PRECONDITION
            reason = error_reason_pb2.ERROR_REASON_RETRIEVAL_NOT_CONFIGURED
            metadata = {"missing": error.missing}
        case RetrievalUnavailable():
            code = grpc.StatusCode.UNAVAILABLE
            reason = error_reason_pb2.ERROR_REASON_RETRIEVAL_UNAVAILABLE
            metadata = {"component": error.component}
        case TooOld():
            code = grpc.StatusCode.UNAVAILABLE
            reason = error_reason_pb2.ERROR_REASON_VERSION_NOT_REACHED
            metadata = {
                "collection": error.collection,
                "version": str(error.version),
                "min_version": str(error.min_version),
            }
        case _:
            return None
    # A later call may succeed, and only then.
    again = [_retry_in(_RETRY_AFTER_S)] if code is grpc.StatusCode.UNAVAILABLE else []
    return _status(code, str(error), reason, metadata, *again)


def internal() -> grpc.Status:
    """Write the status of a bug of ours: it says nothing about its cause."""
    return _status(
        grpc.StatusCode.INTERNAL,
        "internal error",
        error_reason_pb2.ERROR_REASON_INTERNAL,
        {},
    )


def overloaded(message: str, metadata: dict[str, str]) -> grpc.Status:
    """Write the status of a call that is refused since there are too many.

    Args:
        message: What there is too much of.
        metadata: Every changing part of the message.

    """
    return _status(
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        message,
        error_reason_pb2.ERROR_REASON_SERVER_OVERLOADED,
        metadata,
        _retry_in(_RETRY_AFTER_S),
    )


def _rerank_failed(error: RerankFailed) -> grpc.Status:
    # Its lists of documents and of attempts could outgrow what a client takes.
    execution = replace(
        error.execution,
        unscored_indexes=(),
        truncated_indexes=(),
        attempts=error.execution.attempts[-_MAX_ATTEMPTS:],
    )
    details: list[Message] = [write_execution(execution)]
    if error.transient:
        details.append(_retry_in(error.retry_after_s or _RETRY_AFTER_S))
    return _status(
        (
            grpc.StatusCode.UNAVAILABLE
            if error.transient
            else grpc.StatusCode.FAILED_PRECONDITION
        ),
        str(error),
        error_reason_pb2.ERROR_REASON_RERANK_FAILED,
        {
            "route": execution.route,
            "backend": execution.attempts[-1].backend,
            "fallback_reason": str(execution.fallback_reason),
        },
        *details,
    )


def _retry_in(seconds: float) -> Message:
    info: Message = error_details_pb2.RetryInfo(retry_delay=duration_of(seconds))
    return info


def _bad_request(violations: tuple[Violation, ...]) -> error_details_pb2.BadRequest:
    """List every violation, as far as a client's limit on metadata allows."""
    bad = error_details_pb2.BadRequest()
    size = 0
    for place, violation in enumerate(violations):
        size += len(violation.field) + len(violation.description) + 8
        if size > _MAX_VIOLATIONS_BYTES:
            left = len(violations) - place
            bad.field_violations.add(
                field=violation.field, description=f"and {left - 1} more violations"
            )
            break
        bad.field_violations.add(
            field=violation.field, description=violation.description
        )
    return bad


def _status(
    code: grpc.StatusCode,
    message: str,
    reason: error_reason_pb2.ErrorReason.ValueType,
    metadata: dict[str, str],
    *details: Message,
) -> grpc.Status:
    name = error_reason_pb2.ErrorReason.Name(reason)
    info = error_details_pb2.ErrorInfo(
        reason=name.removeprefix("ERROR_REASON_"), domain=_DOMAIN, metadata=metadata
    )
    packed = []
    for detail in (info, *details):
        each = Any()
        each.Pack(detail)
        packed.append(each)
    return rpc_status.to_status(
        status_pb2.Status(code=code.value[0], message=message, details=packed)
    )
