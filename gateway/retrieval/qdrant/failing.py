"""What Qdrant and the way to it raise, in our words."""

from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import grpc.aio
from qdrant_client.common.client_exceptions import QdrantException
from qdrant_client.http.exceptions import ApiException

from gateway.backends.authorities import is_unproven
from gateway.retrieval.errors import (
    AccessRefused,
    CollectionExists,
    EngineFailed,
    RetrieverError,
    StoreFull,
    UnknownCollection,
)

_CODES = grpc.StatusCode
_MEANINGS: dict[grpc.StatusCode, tuple[type[RetrieverError], str]] = {
    _CODES.NOT_FOUND: (UnknownCollection, "there is no collection {what!r}"),
    _CODES.ALREADY_EXISTS: (CollectionExists, "there is a collection {what!r} already"),
    _CODES.UNAUTHENTICATED: (AccessRefused, "{what}: the engine refuses our key"),
    _CODES.PERMISSION_DENIED: (AccessRefused, "{what}: the engine refuses our key"),
    _CODES.UNAVAILABLE: (EngineFailed, "{what}: the engine cannot be reached"),
    _CODES.DEADLINE_EXCEEDED: (EngineFailed, "{what}: no answer in time"),
}
_FULL = ("no space left", "disk", "storage size limit", "exceeds limit")


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn whatever is raised in the block into a `RetrieverError`.

    Its words may contain what a caller sent, so they stay in the cause.
    """
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise _meaning(what, error.code(), error.details() or "") from error
    except (QdrantException, ApiException, AssertionError, RuntimeError) as error:
        message = f"{what}: the engine failed ({type(error).__name__})"
        raise EngineFailed(message) from error
    except ValueError as error:
        # The client's own engine for tests says so; the wire has a status for it.
        if "not found" in str(error):
            raise _meaning(what, _CODES.NOT_FOUND, "") from error
        message = f"{what}: the engine failed ({type(error).__name__})"
        raise EngineFailed(message) from error


def _meaning(what: str, code: grpc.StatusCode, details: str) -> RetrieverError:
    if code is _CODES.UNAVAILABLE and is_unproven(details):
        return EngineFailed(f"{what}: the engine cannot prove who it is")
    if code in _MEANINGS:
        kind, message = _MEANINGS[code]
        return kind(message.format(what=what))
    if any(each in details.lower() for each in _FULL):
        return StoreFull(f"{what}: no space is left")
    return EngineFailed(f"{what}: the engine failed ({code.name})")
