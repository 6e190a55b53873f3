"""The certificate that listeners show, and the authority that callers must prove themselves to.

Files are read at the start, and again whenever they were replaced. What a new one is wrong
with is said in the log, and the last right ones stay: a call that is served now is worth more.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from gateway.identity.watching import whenever_changed
from gateway.reloading.watching import stamps

_log = logging.getLogger(__name__)

_CERTIFICATE: Final = "certificate"
_KEY: Final = "key"
_CLIENT_CA: Final = "client_ca"
_REPLACED: Final = "was replaced while it was read"
_NONE_IN_IT: Final = "has no certificate in PEM"


class CertificateError(Exception):
    """A file cannot be used.

    Args:
        field: Which one: `certificate`, `key` or `client_ca`.
        problem: What is wrong with it.

    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")


@dataclass(frozen=True, slots=True)
class Pems:
    """What is in the files."""

    certificate: bytes
    """With those that lead to its authority."""
    key: bytes
    client_ca: bytes | None
    """None: callers need no certificate."""


class Certificates:
    """What is in the files now.

    Args:
        certificate: A certificate and those that lead to its authority, in PEM.
        key: Its private key, in PEM, without a passphrase.
        client_ca: The authorities of callers' certificates, which are required then; None:
            callers need none.

    Raises:
        CertificateError: One of them cannot be used.

    """

    def __init__(self, *, certificate: Path, key: Path, client_ca: Path | None) -> None:
        self._certificate = certificate
        self._key = key
        self._client_ca = client_ca
        self._paths = tuple(each for each in (certificate, key, client_ca) if each)
        self._seen = stamps(self._paths)
        self.pems, self._context = self._read()

    @property
    def requires_clients(self) -> bool:
        """Whether nobody is let in who has no certificate."""
        return self._client_ca is not None

    def context(self) -> ssl.SSLContext:
        """Give what each handshake goes by, with the files as they are by then."""
        return _Newest(lambda: self._context)

    async def watch(self, *, every_s: float) -> None:
        """Look whether files were replaced, until cancelled."""
        await whenever_changed(self._paths, self._seen, self._renew, every_s=every_s)

    async def _renew(self) -> bool:
        try:
            self.pems, self._context = await asyncio.to_thread(self._read)
        except CertificateError as error:
            _log.error("the new certificate is not used: tls.%s", error)
            return False
        _log.info("the certificate was replaced by what is in %s", self._certificate)
        return True

    def _read(self) -> tuple[Pems, ssl.SSLContext]:
        before = stamps(self._paths)
        pems = Pems(
            certificate=_content(_CERTIFICATE, self._certificate),
            key=_content(_KEY, self._key),
            client_ca=(
                _content(_CLIENT_CA, self._client_ca) if self._client_ca else None
            ),
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _check_authorities(_CERTIFICATE, pems.certificate)
        try:
            # A passphrase would be asked for on the terminal.
            context.load_cert_chain(self._certificate, self._key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            mismatch = getattr(error, "reason", "") == "KEY_VALUES_MISMATCH"
            problem = f"{self._key} has no private key in PEM without a passphrase"
            if mismatch:
                problem = f"{self._key} is not the key of {self._certificate}"
            raise CertificateError(_KEY, problem) from error
        if pems.client_ca is not None:
            _check_authorities(_CLIENT_CA, pems.client_ca)
            context.load_verify_locations(cadata=pems.client_ca.decode("ascii"))
            context.verify_mode = ssl.CERT_REQUIRED
        if stamps(self._paths) != before:
            raise CertificateError(_CERTIFICATE, _REPLACED)
        return pems, context


class _Newest(ssl.SSLContext):
    """Begins each handshake with the context that is the newest by then.

    One that is changed while handshakes go by it would be half the one and half the other,
    and would let those resume whom an authority of before had proven.
    """

    _newest: Callable[[], ssl.SSLContext]

    def __new__(cls, newest: Callable[[], ssl.SSLContext]) -> Self:
        made = super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)
        made._newest = newest
        return made

    def __init__(self, newest: Callable[[], ssl.SSLContext]) -> None:
        """Take what gives it, which is kept already."""

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:  # noqa: ANN401 - passed on as they come
        """Begin a handshake."""
        return self._newest().wrap_bio(*args, **more)


def _content(field: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        problem = f"cannot read {path}: {error.strerror}"
        raise CertificateError(field, problem) from error


def _check_authorities(field: str, pem: bytes) -> None:
    """Refuse what holds no certificate: nobody would be trusted, or nothing shown."""
    try:
        trying = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trying.load_verify_locations(cadata=pem.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise CertificateError(field, _NONE_IN_IT) from error
