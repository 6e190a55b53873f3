"""What an error is to a caller: its code, its words and its reason, whatever carries them.

The code follows from what a caller should do next: only UNAVAILABLE invites it to try
the same call again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import grpc

from gateway.contract import Execution
from gateway.errors import (
    CollectionAlreadyThere,
    CollectionNotFound,
    DocumentNotFound,
    GatewayError,
    InvalidRequest,
    OutOfTime,
    OverQuota,
    RerankFailed,
    RetrievalNotConfigured,
    RetrievalUnavailable,
    TooOld,
    UnknownBackend,
    UnknownRoute,
    UsedUp,
    Violation,
)
from rerank.v1 import error_reason_pb2

_MAX_ATTEMPTS = 20
_RETRY_AFTER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a call, or one request of a batch, has no answer."""

    code: grpc.StatusCode
    message: str
    """One sentence for people; never quotes a text."""
    reason: error_reason_pb2.ErrorReason.ValueType
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Every changing part of the message."""
    violations: tuple[Violation, ...] = ()
    retry_after_s: float | None = None
    """None: to repeat is useless, or needs no wait."""
    execution: Execution | None = None
    """How it came about, without its lists of documents."""


INTERNAL = Refusal(
    code=grpc.StatusCode.INTERNAL,
    message="internal error",
    reason=error_reason_pb2.ERROR_REASON_INTERNAL,
)
"""A bug of ours: it says nothing about its cause."""

CREDENTIALS_REQUIRED = Refusal(
    code=grpc.StatusCode.UNAUTHENTICATED,
    message="valid credentials are required",
    reason=error_reason_pb2.ERROR_REASON_CREDENTIALS_REQUIRED,
)
"""For all whose caller is not known: it does not say what is wrong with what they show."""

PERMISSION_DENIED = Refusal(
    code=grpc.StatusCode.PERMISSION_DENIED,
    message="these credentials do not allow this call",
    reason=error_reason_pb2.ERROR_REASON_PERMISSION_DENIED,
)
"""For callers that are known, and not for what they ask."""


def to_refusal(error: GatewayError) -> Refusal:
    """Give what an error of a call is to its caller."""
    match error:
        case InvalidRequest():
            return Refusal(
                code=grpc.StatusCode.INVALID_ARGUMENT,
                message=str(error),
                reason=error_reason_pb2.ERROR_REASON_INVALID_REQUEST,
                metadata={
                    "field": error.violations[0].field,
                    "violation_count": str(len(error.violations)),
                },
                violations=error.violations,
            )
        case UnknownRoute():
            return Refusal(
                code=grpc.StatusCode.NOT_FOUND,
                message=str(error),
                reason=error_reason_pb2.ERROR_REASON_ROUTE_NOT_FOUND,
                metadata={"route": error.route},
            )
        case UnknownBackend():
            return Refusal(
                code=grpc.StatusCode.NOT_FOUND,
                message=str(error),
                reason=error_reason_pb2.ERROR_REASON_BACKEND_NOT_FOUND,
                metadata={"backend": error.backend},
            )
        case RerankFailed():
            return _rerank_failed(error)
        case OutOfTime() | OverQuota():
            return _beyond(error)
    return _of_retrieval(error) or INTERNAL


def overloaded(message: str, metadata: Mapping[str, str]) -> Refusal:
    """Refuse a call since there are too many.

    Args:
        message: What there is too much of.
        metadata: Every changing part of the message.

    """
    return Refusal(
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        message=message,
        reason=error_reason_pb2.ERROR_REASON_SERVER_OVERLOADED,
        metadata=metadata,
        retry_after_s=_RETRY_AFTER_S,
    )


def _of_retrieval(error: GatewayError) -> Refusal | None:
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
    again_s = _RETRY_AFTER_S if code is grpc.StatusCode.UNAVAILABLE else None
    return Refusal(
        code=code,
        message=str(error),
        reason=reason,
        metadata=metadata,
        retry_after_s=again_s,
    )


def _beyond(error: OutOfTime | OverQuota) -> Refusal:
    if isinstance(error, OverQuota):
        return _over_quota(str(error), error.used_up, retry_after_s=error.retry_after_s)
    return Refusal(
        code=grpc.StatusCode.DEADLINE_EXCEEDED,
        message=str(error),
        reason=error_reason_pb2.ERROR_REASON_DEADLINE_EXCEEDED,
    )


def _over_quota(
    message: str,
    used_up: UsedUp,
    *,
    retry_after_s: float | None,
    execution: Execution | None = None,
) -> Refusal:
    return Refusal(
        code=grpc.StatusCode.RESOURCE_EXHAUSTED,
        message=message,
        reason=error_reason_pb2.ERROR_REASON_QUOTA_EXCEEDED,
        metadata={"quota": used_up.quota, "limit": used_up.limit},
        retry_after_s=retry_after_s,
        execution=execution,
    )


def _rerank_failed(error: RerankFailed) -> Refusal:
    # Its lists of documents and of attempts could outgrow what a client takes.
    execution = replace(
        error.execution,
        unscored_indexes=(),
        truncated_indexes=(),
        attempts=error.execution.attempts[-_MAX_ATTEMPTS:],
    )
    attempts = execution.attempts
    if error.quota:
        return _over_quota(
            str(error),
            error.quota,
            retry_after_s=error.retry_after_s,
            execution=execution,
        )
    again_s = (error.retry_after_s or _RETRY_AFTER_S) if error.transient else None
    return Refusal(
        code=(
            grpc.StatusCode.UNAVAILABLE
            if error.transient
            else grpc.StatusCode.FAILED_PRECONDITION
        ),
        message=str(error),
        reason=error_reason_pb2.ERROR_REASON_RERANK_FAILED,
        metadata={
            "route": execution.route,
            "backend": attempts[-1].backend if attempts else execution.backend,
            "fallback_reason": str(execution.fallback_reason or ""),
        },
        retry_after_s=again_s,
        execution=execution,
    )
