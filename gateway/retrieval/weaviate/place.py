"""Where the nodes of a cluster of Weaviate listen."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit, urlunsplit

_GRPC = 50051


@dataclass(frozen=True, slots=True)
class Place:
    """The two addresses of one node, or of a name that leads to several."""

    rest: str
    """Without a trailing slash."""
    grpc: str
    """HOST:PORT."""
    secure: bool
    """gRPC over TLS; of REST its url says it."""


def locate(urls: Sequence[str], grpc_urls: Sequence[str]) -> tuple[Place, ...]:
    """Find them.

    Args:
        urls: Of REST, each `http://HOST:PORT`, or `https://` over TLS.
        grpc_urls: Of gRPC, in the same order and form. Empty: the same hosts, at the port
            50051.

    Raises:
        ValueError: Another url, one with a key, query or fragment, or another count.

    """
    if grpc_urls and len(grpc_urls) != len(urls):
        message = "must be as many as there are nodes"
        raise ValueError(message)
    found = []
    for rest, grpc in zip(urls, grpc_urls or urls, strict=True):
        parts, other = locate_one(rest), locate_one(grpc)
        if other.path.rstrip("/") and grpc_urls:
            message = "must have no path: gRPC has its own"
            raise ValueError(message)
        host = other.hostname or ""
        host = f"[{host}]" if ":" in host else host
        port = (other.port if grpc_urls else None) or _GRPC
        base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        found.append(Place(base, f"{host}:{port}", secure=other.scheme == "https"))
    return tuple(found)


def locate_one(url: str) -> SplitResult:
    """Take a url apart, or raise ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "must be a url such as http://localhost:8080"
        raise ValueError(message)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = "must have no user, query or fragment; a key goes into api_key_env"
        raise ValueError(message)
    _ = parts.port  # raises ValueError where it is no port
    return parts
