"""A refusal as the status that ends a call, with its details."""

from collections.abc import Sequence

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from gateway.errors import Violation
from gateway.rpc.refusal import Refusal
from gateway.rpc.responses import duration_of, write_execution
from gateway.rpc.violations import at_most
from rerank.v1 import error_reason_pb2

_DOMAIN = "rerank.v1"

# A client takes 8 KiB of trailing metadata by default, and drops the whole status
# where it is more.
_MAX_VIOLATIONS_BYTES = 4096


def to_status(refusal: Refusal) -> grpc.Status:
    """Write a refusal as a status with details."""
    name = error_reason_pb2.ErrorReason.Name(refusal.reason)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(
            reason=name.removeprefix("ERROR_REASON_"),
            domain=_DOMAIN,
            metadata=refusal.metadata,
        )
    ]
    if refusal.violations:
        details.append(_bad_request(refusal.violations))
    if refusal.execution:
        details.append(write_execution(refusal.execution))
    if refusal.retry_after_s is not None:
        again = duration_of(refusal.retry_after_s)
        details.append(error_details_pb2.RetryInfo(retry_delay=again))
    return rpc_status.to_status(
        status_pb2.Status(
            code=refusal.code.value[0],
            message=refusal.message,
            details=[_packed(each) for each in details],
        )
    )


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for each in at_most(_MAX_VIOLATIONS_BYTES, violations):
        bad.field_violations.add(field=each.field, description=each.description)
    return bad
