"""What the end of a gRPC call means, where its vendor adds nothing to its status."""

import re

from gateway.backends.errors import (
    BackendError,
    Excess,
    Malformed,
    RateLimited,
    Rejected,
    TooLarge,
    Unauthenticated,
    Unavailable,
)
from gateway.backends.grpc_dialect import GrpcRefusal

_OUR_KEY = {"UNAUTHENTICATED", "PERMISSION_DENIED"}
_WRONG_PLACE = {"UNIMPLEMENTED", "NOT_FOUND"}
_OF_THE_REQUEST = {
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "ALREADY_EXISTS",
}

# Said by our own end of the wire.
_ANSWER_TOO_LONG = re.compile(
    r"CLIENT: Received message larger than max \(\d{1,12} vs\. (\d{1,12})\)"
)
# As servers in C++ or Python, in Go and in Rust say it.
_MESSAGE_TOO_LONG = (
    re.compile(
        r"[Rr]eceived message larger than max \((?P<given>\d{1,12}) vs\. (?P<limit>\d{1,12})\)"
    ),
    re.compile(
        r"message length too large: found (?P<given>\d{1,12}) bytes,"
        r" the limit is: (?P<limit>\d{1,12}) bytes"
    ),
)


def by_status(refusal: GrpcRefusal) -> BackendError:
    """Classify the end of a call by its status, and by what gRPC itself says of sizes.

    `DEADLINE_EXCEEDED` is left to who knows how much time there was.
    """
    status, backend = refusal.status, refusal.backend
    said = f"gRPC {status}"
    if status in _OUR_KEY:
        return Unauthenticated(backend, said)
    if status in {"RESOURCE_EXHAUSTED", "OUT_OF_RANGE"}:
        if too_long := _too_long(refusal):
            return too_long
        if status == "RESOURCE_EXHAUSTED":
            return RateLimited(backend, said)
    if status in _OF_THE_REQUEST:
        return Rejected(backend, said)
    # All else is a server that is broken, going away, or another one than was meant.
    return Unavailable(backend, said, permanent=status in _WRONG_PLACE)


def _too_long(refusal: GrpcRefusal) -> BackendError | None:
    if answer := _ANSWER_TOO_LONG.search(refusal.words):
        return Malformed(refusal.backend, f"an answer of over {answer[1]} bytes")
    for pattern in _MESSAGE_TOO_LONG:
        if found := pattern.search(refusal.words):
            return TooLarge(
                refusal.backend,
                Excess.BYTES,
                given=int(found["given"]),
                limit=int(found["limit"]),
            )
    return None
