"""Callers who are known by the certificate that they show.

gRPC names a certificate's owner itself, but ends a name at its first zero byte: who has one
for `shop`, a zero byte and `.evil` would be `shop`. So names are read from the certificate alone.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.identity.caller import Caller
from gateway.identity.shown import Shown

_PEM: Final = b"-----BEGIN"
# One is read once for all calls of its connections, which takes 50 µs or so.
_MOST_READ: Final = 1024

# Whoever is let in by TLS may show any that its authority signs.
_UNREADABLE: Final = (
    ValueError,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)

Kind = Literal["uri", "dns", "common_name"]


class Name(NamedTuple):
    """One name of a certificate."""

    kind: Kind
    """`uri` and `dns`: of its subject alternative names, such as a SPIFFE ID."""
    value: str


@dataclass(frozen=True, slots=True)
class _Read:
    names: frozenset[Name]
    until: float
    """Unix time after which it is none any more."""


_NOTHING: Final = _Read(frozenset(), 0.0)


class Certified:
    """Knows callers by their certificates.

    Names are compared as they are, to the letter. One that fits several callers is nobody's.

    Args:
        callers: By a name of their certificate.
        now: Gives the Unix time.

    """

    def __init__(
        self, callers: Mapping[Name, Caller], *, now: Callable[[], float] = time.time
    ) -> None:
        self._callers = callers
        self._now = now

    def replace(self, callers: Mapping[Name, Caller]) -> None:
        """Know these from now on, and no others."""
        self._callers = callers

    async def identify(self, shown: Shown) -> Caller | None:
        """Tell who shows a certificate."""
        read = _read(shown.certificate)
        # A connection may outlive the certificate that it began with.
        if self._now() > read.until:
            return None
        known = [self._callers[name] for name in read.names if name in self._callers]
        return known[0] if len(known) == 1 else None


@lru_cache(maxsize=_MOST_READ)
def _read(certificate: bytes) -> _Read:
    if not certificate:
        return _NOTHING
    load = (
        x509.load_pem_x509_certificate
        if certificate.startswith(_PEM)
        else x509.load_der_x509_certificate
    )
    try:
        read = load(certificate)
        names = [*_alternative(read), *_common(read)]
    except _UNREADABLE:  # OpenSSL took it for one, and this library does not
        return _NOTHING
    return _Read(frozenset(names), read.not_valid_after_utc.timestamp())


def _alternative(certificate: x509.Certificate) -> list[Name]:
    try:
        extension = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return []
    names = extension.value
    return [
        *(
            Name("uri", each)
            for each in names.get_values_for_type(x509.UniformResourceIdentifier)
        ),
        *(Name("dns", each) for each in names.get_values_for_type(x509.DNSName)),
    ]


def _common(certificate: x509.Certificate) -> list[Name]:
    """Give the common name, if there is exactly one."""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(common) != 1:
        return []
    return [Name("common_name", str(each.value)) for each in common]
