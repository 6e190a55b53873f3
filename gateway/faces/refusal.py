"""Why a call was refused, read from the status that a gRPC caller would get."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import grpc
from google.rpc import error_details_pb2, status_pb2

from gateway.errors import Violation
from rerank.v1 import execution_pb2

_DETAILS = "grpc-status-details-bin"

_STATUSES = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    # No score, and repeating is useless: no client repeats a 424 by itself.
    grpc.StatusCode.FAILED_PRECONDITION: 424,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.UNAUTHENTICATED: 401,
}
_INTERNAL = 500

MISSHAPEN = "misshapen"
"""In `Face.statuses`: the body is JSON of another shape than the API's."""
INVALID = "invalid"
"""Likewise: its shape is right, and something in it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error, before it is written as a vendor writes it."""

    code: grpc.StatusCode
    message: str
    """One sentence for people."""
    reason: str = ""
    """For programs: an `ErrorReason` without its prefix."""
    violations: tuple[Violation, ...] = ()
    """By the vendor's names of fields."""
    misshapen: bool = False
    retry_after_s: float | None = None
    execution: execution_pb2.Execution | None = None
    """Of a rerank that failed."""
    details: Sequence[tuple[str, bytes]] = ()
    """Those of the status: the name of a message, and its bytes."""
    status: int | None = None
    """The HTTP status, where only HTTP has a word for it."""

    @property
    def words(self) -> str:
        """Say all that is wrong, for people."""
        if not self.violations:
            return self.message
        return "; ".join(
            f"{each.field}: {each.description}" for each in self.violations
        )

    def status_in(self, statuses: Mapping[str, int]) -> int:
        """Give the HTTP status.

        Args:
            statuses: What a vendor answers, where that is not the usual.

        """
        if self.status is not None:
            return self.status
        if self.code is grpc.StatusCode.INVALID_ARGUMENT:
            kind = MISSHAPEN if self.misshapen else INVALID
            return statuses.get(kind, _STATUSES[self.code])
        return _STATUSES.get(self.code, _INTERNAL)

    @property
    def retry_after(self) -> str:
        """Give the value of the header `Retry-After`, in whole seconds; empty: none."""
        if self.retry_after_s is None:
            return ""
        return str(max(math.ceil(self.retry_after_s), 1))


def read_refusal(
    code: grpc.StatusCode,
    message: str,
    trailers: Sequence[tuple[str, str | bytes]],
    *,
    misshapen: bool,
) -> Refusal:
    """Read a status with its details.

    Args:
        code: Of the status.
        message: Of the status.
        trailers: What goes with it.
        misshapen: The request has not even the right shape.

    """
    packed = b""
    for key, value in trailers:
        if key == _DETAILS and isinstance(value, bytes):
            packed = value
    reason = ""
    violations: tuple[Violation, ...] = ()
    retry_after_s = None
    execution = None
    details = []
    for each in status_pb2.Status.FromString(packed).details:
        details.append((each.TypeName(), each.value))
        info = error_details_pb2.ErrorInfo()
        bad = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        how = execution_pb2.Execution()
        if each.Unpack(info):
            reason = info.reason
        elif each.Unpack(bad):
            violations = tuple(
                Violation(one.field, one.description) for one in bad.field_violations
            )
        elif each.Unpack(retry):
            retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()
        elif each.Unpack(how):
            execution = how
    return Refusal(
        code=code,
        message=message,
        reason=reason,
        violations=violations,
        misshapen=misshapen,
        retry_after_s=retry_after_s,
        execution=execution,
        details=details,
    )
