"""Where a backend listens: a base url or the full endpoint, whichever was configured."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

_ENDPOINTS = ("rerank", "reranking", "ranking")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The two addresses of one backend."""

    base: str
    """Without a trailing slash; what `/info` and its like are asked below."""
    rerank: str
    """Where documents are sent."""


@dataclass(frozen=True, slots=True)
class GrpcServer:
    """The address of one backend that speaks gRPC."""

    address: str
    """HOST:PORT."""
    secure: bool
    """Over TLS."""

    def url(self, method: str) -> str:
        """Name a method there, for whoever watches."""
        return f"{'grpcs' if self.secure else 'grpc'}://{self.address}{method}"


def locate(url: str, path: str) -> Endpoint:
    """Find both addresses.

    Args:
        url: `http://host:8080`, the same with a prefix, or the full endpoint, which
            is what ends in `/rerank`, `/reranking` or `/ranking`.
        path: The vendor's path below a base url, such as `/v1/rerank`.

    Raises:
        ValueError: Not an http or https url, or one with a key, query or fragment.

    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "must be a url such as http://localhost:8081"
        raise ValueError(message)
    _refuse_secrets(parts)
    _ = parts.port  # raises ValueError where it is no port
    given = parts.path.rstrip("/")
    above, _, last = given.rpartition("/")
    is_endpoint = last in _ENDPOINTS  # of this vendor, or another spelling of it
    # http://host/v1 is a base url to some, and would give /v1/v1/rerank.
    version = path.rpartition("/")[0]
    base = (above if is_endpoint else given).removesuffix(version)
    full = given if is_endpoint else base + path
    return Endpoint(
        base=urlunsplit((parts.scheme, parts.netloc, base, "", "")),
        rerank=urlunsplit((parts.scheme, parts.netloc, full, "", "")),
    )


def locate_grpc(url: str) -> GrpcServer:
    """Find a server of gRPC.

    Args:
        url: `grpc://host:8082`, or `grpcs://host:8082` over TLS.

    Raises:
        ValueError: Another url, or one with a key, path, query or fragment.

    """
    parts = urlsplit(url)
    _refuse_secrets(parts)
    # There is no port that everybody means.
    if parts.scheme not in ("grpc", "grpcs") or not parts.hostname or not parts.port:
        message = "must be a url such as grpc://localhost:8082"
        raise ValueError(message)
    if parts.path.rstrip("/"):
        message = "must have no path: gRPC has its own"
        raise ValueError(message)
    return GrpcServer(address=parts.netloc, secure=parts.scheme == "grpcs")


def _refuse_secrets(parts: SplitResult) -> None:
    if parts.username or parts.password or parts.query or parts.fragment:
        message = "must have no user, query or fragment; a key goes into api_key_env"
        raise ValueError(message)
