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
        urls: Of REST, each `http://HOST:PORT`, or `https://` over TLS; a path is one where
            a proxy has it.
        grpc_urls: Of gRPC, in the same order and form, without a path. Empty: the same
            hosts, at the port 50051.

    Raises:
        ValueError: Another url, one with a key, query or fragment, or another count.

    """
    return tuple(
        Place(
            rest=locate_rest(rest),
            grpc=locate_grpc(grpc) if grpc_urls else _address(_parts(grpc), _GRPC),
            secure=_parts(grpc).scheme == "https",
        )
        for rest, grpc in zip(urls, grpc_urls or urls, strict=True)
    )


def locate_rest(url: str) -> str:
    """Give the address of REST, without a trailing slash, or raise ValueError."""
    parts = _parts(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def locate_grpc(url: str) -> str:
    """Give HOST:PORT of gRPC, or raise ValueError."""
    parts = _parts(url)
    if parts.path.rstrip("/"):
        message = "must have no path: gRPC has its own"
        raise ValueError(message)
    return _address(parts, parts.port or _GRPC)


def _address(parts: SplitResult, port: int) -> str:
    host = parts.hostname or ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parts(url: str) -> SplitResult:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "must be a url such as http://localhost:8080"
        raise ValueError(message)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = "must have no user, query or fragment; a key goes into api_key_env"
        raise ValueError(message)
    _ = parts.port  # raises ValueError where it is no port
    return parts
