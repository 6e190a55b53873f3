"""Where a cluster of Qdrant listens for gRPC."""

from dataclasses import dataclass
from urllib.parse import urlsplit

_GRPC = 6334
_REST = 6333


@dataclass(frozen=True, slots=True)
class Place:
    """The address of a node, or a name that leads to several."""

    host: str
    port: int
    secure: bool
    """Over TLS."""


def locate(url: str) -> Place:
    """Find it.

    Args:
        url: `http://HOST:PORT`, or `https://` over TLS. The port is that of gRPC, which
            is 6334 where none is named.

    Raises:
        ValueError: Another url, or one with a key, path, query or fragment.

    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        message = "must be a url such as http://localhost:6334"
        raise ValueError(message)
    if parts.username or parts.password or parts.query or parts.fragment:
        message = "must have no user, query or fragment; a key goes into api_key_env"
        raise ValueError(message)
    if parts.path.rstrip("/"):
        message = "must have no path: gRPC has its own"
        raise ValueError(message)
    if parts.port == _REST:
        message = f"is Qdrant's port for REST; that for gRPC is {_GRPC}"
        raise ValueError(message)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Place(host, parts.port or _GRPC, secure=parts.scheme == "https")
