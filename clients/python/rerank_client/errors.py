"""What a failed call raises.

    RerankError
     ├ InvalidRequest         INVALID_ARGUMENT     mend what `violations` says
     ├ NotFound               NOT_FOUND            `reason` says what there is none of
     ├ AlreadyExists          ALREADY_EXISTS
     ├ Unauthenticated        UNAUTHENTICATED      send a valid token
     ├ ResourceExhausted      RESOURCE_EXHAUSTED   try again after `retry_delay_s`
     ├ FailedPrecondition     FAILED_PRECONDITION  repeating is useless
     ├ Unavailable            UNAVAILABLE          try again after `retry_delay_s`
     ├ DeadlineExceeded       DEADLINE_EXCEEDED    also a `TimeoutError`
     └ Internal               INTERNAL             a bug of the gateway

Any other code is a plain `RerankError`. An answer that fell back is no error: see
`rerank_client.answers`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from rerank_client.types import ErrorReason, Execution, RerankBatchError

_DETAILS = "grpc-status-details-bin"
_DOMAIN = "rerank.v1"
_PREFIX = "ERROR_REASON_"


@dataclass(frozen=True, slots=True)
class Violation:
    """One fault of a request."""

    field: str
    """Its path, for example `documents[3].text`."""

    description: str
    """What is wrong and what is allowed, for people."""


@dataclass(frozen=True, slots=True)
class ErrorDetails:
    """What a server says of an error beside code and message."""

    reason: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    violations: tuple[Violation, ...] = ()
    retry_delay_s: float | None = None
    execution: Execution | None = None


class RerankError(Exception):
    """A call that failed.

    Attributes:
        code: gRPC's status code.
        message: One sentence for people. Its wording may change: never parse it.
        reason: Why, for programs: a value of `ErrorReason` without its prefix, for
            example `ROUTE_NOT_FOUND`. Empty where gRPC itself made the error, such as
            for a lost connection. New reasons may come.
        metadata: The changing parts of the message.
        violations: Every fault of the request, in its order.
        retry_delay_s: How long to wait before the same call may succeed. None: it needs
            no wait, or repeating is useless.
        execution: How it came about, with the reason `RERANK_FAILED`; otherwise None.

    """

    def __init__(
        self, code: grpc.StatusCode, message: str, details: ErrorDetails
    ) -> None:
        reason = f" ({details.reason})" if details.reason else ""
        super().__init__(f"{code.name}{reason}: {message}")
        self.code = code
        self.message = message
        self.reason = details.reason
        self.metadata = details.metadata
        self.violations = details.violations
        self.retry_delay_s = details.retry_delay_s
        self.execution = details.execution


class InvalidRequest(RerankError):
    """The request breaks the contract; repeating it is useless."""


class NotFound(RerankError):
    """There is no route, backend, collection or document of that name."""


class AlreadyExists(RerankError):
    """The collection to create is there."""


class Unauthenticated(RerankError):
    """The gateway asks for credentials, and they are missing or wrong."""


class ResourceExhausted(RerankError):
    """A quota is used up, the gateway is saturated, or a message is too large."""


class FailedPrecondition(RerankError):
    """Nobody scored, or the gateway has no retrieval; repeating is useless."""


class Unavailable(RerankError):
    """The gateway, or what it needs for this call, does not answer at the moment."""


class DeadlineExceeded(RerankError, TimeoutError):
    """The deadline of the call passed."""


class Internal(RerankError):
    """A bug of the gateway."""


_CLASSES: Mapping[grpc.StatusCode, type[RerankError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.FAILED_PRECONDITION: FailedPrecondition,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.INTERNAL: Internal,
}

_CODES: Mapping[int, grpc.StatusCode] = {
    code.value[0]: code for code in grpc.StatusCode
}


def from_rpc(error: grpc.RpcError) -> RerankError:
    """Read the error of a call."""
    details = _details_of(error.trailing_metadata() or ())
    return _error(error.code(), error.details() or "", details)


def from_batch(error: RerankBatchError) -> RerankError:
    """Read the error of one request of a batch: what its own call would have raised."""
    details = ErrorDetails(
        reason=_reason(error.reason),
        metadata=dict(error.metadata),
        violations=tuple(
            Violation(each.field, each.description) for each in error.violations
        ),
        retry_delay_s=(
            error.retry_delay.ToNanoseconds() / 1e9
            if error.HasField("retry_delay")
            else None
        ),
        execution=error.execution if error.HasField("execution") else None,
    )
    code = _CODES.get(error.code, grpc.StatusCode.UNKNOWN)
    return _error(code, error.message, details)


def _error(code: grpc.StatusCode, message: str, details: ErrorDetails) -> RerankError:
    return _CLASSES.get(code, RerankError)(code, message, details)


def _reason(reason: ErrorReason.ValueType) -> str:
    """Write a reason as it is in `google.rpc.ErrorInfo`; one that is new, as its number."""
    if reason in ErrorReason.values():
        return ErrorReason.Name(reason).removeprefix(_PREFIX)
    return str(reason)


def _details_of(trailing: Iterable[Any]) -> ErrorDetails:
    packed = next((value for key, value in trailing if key == _DETAILS), None)
    if not isinstance(packed, bytes):
        return ErrorDetails()
    reason, metadata = "", dict[str, str]()
    violations: tuple[Violation, ...] = ()
    retry_delay_s = None
    execution = None
    for detail in status_pb2.Status.FromString(packed).details:
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        how = Execution()
        if detail.Unpack(info) and info.domain == _DOMAIN:
            reason, metadata = info.reason, dict(info.metadata)
        elif detail.Unpack(bad):
            violations = tuple(
                Violation(each.field, each.description) for each in bad.field_violations
            )
        elif detail.Unpack(retry):
            retry_delay_s = retry.retry_delay.ToNanoseconds() / 1e9
        elif detail.Unpack(how):
            execution = how
    return ErrorDetails(reason, metadata, violations, retry_delay_s, execution)
