"""What a caller shows to be known: one bearer token, as RFC 6750 has it."""

from typing import Final

from gateway.identity.shown import Metadata

_HEADER: Final = "authorization"
_SCHEME: Final = "bearer"
_MOST: Final = 16 * 1024


def bearer_in(metadata: Metadata) -> str:
    """Give the token; empty: there is none, or not exactly one.

    Args:
        metadata: With names in lower case.

    """
    shown = [value for name, value in metadata if name == _HEADER]
    if len(shown) != 1 or not isinstance(shown[0], str):
        return ""
    scheme, _, token = shown[0].partition(" ")
    token = token.strip(" ")
    if scheme.lower() != _SCHEME or len(token) > _MOST:
        return ""
    return token if token.isascii() and token.isprintable() else ""
