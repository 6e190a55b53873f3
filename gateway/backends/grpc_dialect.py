"""How one vendor that speaks gRPC spells a rerank call: data and pure functions, no I/O.

The twin of `gateway.backends.dialect`: messages are bytes here, and a refusal has a status
of gRPC and words. `gateway.backends.grpc` does what all of them have in common.
"""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.backends.dialect import Call, Decoded, Traits
from gateway.backends.errors import BackendError
from gateway.backends.facts import Facts


@dataclass(frozen=True, slots=True)
class GrpcRefusal:
    """The end of a call other than success."""

    backend: str
    status: str
    """The name of its status, such as `INVALID_ARGUMENT`."""
    words: str
    """To be looked at and never quoted: they may contain documents."""


def no_words_of_its_own(_: GrpcRefusal) -> BackendError | None:
    """Leave every refusal to its status."""
    return None


@dataclass(frozen=True, slots=True)
class GrpcInfo:
    """Where a backend tells about itself, and how to read it."""

    method: str
    """`/package.Service/Method`; asked with an empty message."""
    read: Callable[[bytes, Facts], None]
    """Writes what the answer tells into the facts. Raises `ContractBrokenError`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcDialect(Traits):
    """One vendor's spelling, in protobuf over gRPC."""

    method: str
    """`/package.Service/Method`."""
    encode: Callable[[Call], bytes]
    """Call to message."""
    decode: Callable[[bytes, int], Decoded]
    """Message and number of documents to scores. Raises `ContractBrokenError`."""
    refusal: Callable[[GrpcRefusal], BackendError | None] = no_words_of_its_own
    """What a refusal means where its status alone does not say it; else None."""
    info: GrpcInfo | None = None
