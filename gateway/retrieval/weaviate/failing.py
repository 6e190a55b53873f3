"""What Weaviate and the way to it raise, in our words."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio

from gateway.backends.authorities import is_unproven
from gateway.backends.transport import TRANSPORT_ERRORS, UNPROVEN, Reply
from gateway.retrieval.errors import (
    AccessRefused,
    EngineFailed,
    RetrieverError,
    StoreFull,
    UnknownCollection,
)

_CODES = grpc.StatusCode
_CODES_OF_ACCESS = (_CODES.UNAUTHENTICATED, _CODES.PERMISSION_DENIED)
_SUCCESS = range(200, 300)

# It has one status for almost everything, and says the rest in words.
_UNKNOWN = ("could not find class", "class not found", "not found in schema")
_REFUSED = ("unauthorized", "forbidden", "invalid api key", "anonymous access not")
_FULL = ("no space left", "read-only", "disk usage")


class Unreachable(EngineFailed):
    """A node is away, or says nothing; another one may be there."""


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn whatever is raised in the block into a `RetrieverError`.

    Its words may contain what a caller sent, so they stay in the cause.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _meaning(what, error.code(), error.details() or "") from error
    except UNPROVEN as error:
        message = f"{what}: the engine cannot prove who it is"
        raise Unreachable(message) from error
    except TRANSPORT_ERRORS as error:
        message = f"{what}: the engine cannot be reached"
        raise Unreachable(message) from error


def refused(what: str, reply: Reply) -> RetrieverError | None:
    """Say what an answer of REST means; None: it did what was asked."""
    match reply.status:
        case status if status in _SUCCESS:
            return None
        case 401 | 403:
            return AccessRefused(f"{what}: the engine refuses our key")
        case 404:
            return UnknownCollection(f"there is no collection {what!r}")
        case status:
            return EngineFailed(f"{what}: the engine failed (HTTP {status})")


def said(what: str, reply: Reply) -> dict[str, Any]:
    """Read an answer of REST.

    Raises:
        EngineFailed: It is none: longer than it may be, or somebody else's.

    """
    try:
        found = json.loads(reply.body or b"")
    except ValueError as error:
        message = f"{what}: the engine's answer cannot be read"
        raise EngineFailed(message) from error
    if not isinstance(found, dict):
        message = f"{what}: the engine's answer is not what it should be"
        raise EngineFailed(message)
    return found


def refused_objects(what: str, words: str) -> RetrieverError:
    """Say why objects were not stored or removed."""
    return _meaning(what, _CODES.UNKNOWN, words)


def _meaning(what: str, code: grpc.StatusCode, details: str) -> RetrieverError:
    said = details.lower()
    if code in _CODES_OF_ACCESS or any(each in said for each in _REFUSED):
        found: RetrieverError = AccessRefused(f"{what}: the engine refuses our key")
    elif code is _CODES.UNAVAILABLE and is_unproven(details):
        found = Unreachable(f"{what}: the engine cannot prove who it is")
    elif code in (_CODES.UNAVAILABLE, _CODES.DEADLINE_EXCEEDED):
        found = Unreachable(f"{what}: the engine cannot be reached")
    elif any(each in said for each in _UNKNOWN):
        found = UnknownCollection(f"there is no collection {what!r}")
    elif any(each in said for each in _FULL):
        found = StoreFull(f"{what}: no space is left")
    else:
        found = EngineFailed(f"{what}: the engine failed ({code.name})")
    return found
