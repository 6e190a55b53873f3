"""Whether a server serves, as `grpc.health.v1` has it.

Its two messages have one field each, and are written as the wrappers of `google.protobuf`
that have the same bytes. So there is no further dependency, and no second registration of
`grpc.health.v1` beside the one that some other package may bring.
"""

from enum import IntEnum

from google.protobuf.wrappers_pb2 import Int32Value, StringValue

CHECK = "/grpc.health.v1.Health/Check"


class ServingStatus(IntEnum):
    """What a server says of itself or of one of its services."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


def write_request(service: str) -> bytes:
    """Write a `HealthCheckRequest`: a string, field 1."""
    return StringValue(value=service).SerializeToString()


def read_response(body: bytes) -> ServingStatus:
    """Read a `HealthCheckResponse`: an enum, field 1. A value that is new is UNKNOWN."""
    status = Int32Value.FromString(body).value
    return (
        ServingStatus(status) if status in set(ServingStatus) else ServingStatus.UNKNOWN
    )
