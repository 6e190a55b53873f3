"""Why a gateway cannot be reached: gRPC says UNAVAILABLE, and a handshake of our own more."""

import socket
import ssl
from collections.abc import Mapping
from typing import Any, Final

from gateway.cli.failing import MISTAKE, fail
from gateway.cli.reaching import Reach

_PATIENCE_S: Final = 3.0
_TLS: Final = ("TLSV", "SSLV")  # how alerts of the other side begin


class Unreachable(Exception):
    """Nobody is there, or not whom we trust, or who trusts us: in one line."""


def names_of(reach: Reach) -> tuple[str, ...]:
    """Ask which names a gateway's certificate is for; whoever else shows one is refused.

    Raises:
        Unreachable: It is another certificate, or there is nobody.

    """
    with _connected(reach) as connection, _shaken(reach, connection) as secured:
        certificate: Mapping[str, Any] = secured.getpeercert() or {}
    named = certificate.get("subjectAltName", ())
    # Of many names of one domain, any is one.
    return tuple(name.replace("*", "any") for _, name in named)


def what_is_wrong(reach: Reach) -> str:
    """Say why a call found nobody; empty: a handshake finds nothing wrong."""
    try:
        with _connected(reach) as connection:
            if reach.tls:
                with _shaken(reach, connection) as secured:
                    _listen(reach, secured)
            else:
                _refuse_tls(connection)
    except Unreachable as error:
        return str(error)
    return ""


def _connected(reach: Reach) -> socket.socket:
    port = reach.place.rpartition(":")[2]
    try:
        return socket.create_connection((reach.host, int(port)), _PATIENCE_S)
    except socket.gaierror as error:
        message = "there is no such host"
        raise Unreachable(message) from error
    except TimeoutError as error:
        message = "nobody answers"
        raise Unreachable(message) from error
    except ValueError as error:
        message = "is not HOST:PORT"
        raise Unreachable(message) from error
    except OSError as error:
        raise Unreachable((error.strerror or "no connection").lower()) from error


def _shaken(reach: Reach, connection: socket.socket) -> ssl.SSLSocket:
    """Shake hands as gRPC does."""
    context = context_of(reach)
    try:
        return context.wrap_socket(
            connection, server_hostname=reach.server_name or reach.host
        )
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(_untrusted(reach, error)) from error
    except TimeoutError as error:
        message = "nobody answers"
        raise Unreachable(message) from error
    except ssl.SSLEOFError as error:  # so ends TLS 1.2 without a certificate of ours
        raise Unreachable(_refused(reach)) from error
    except ssl.SSLError as error:
        if (error.reason or "").startswith(_TLS):
            raise Unreachable(_refused(reach)) from error
        message = "it does not speak TLS: leave out grpcs:// and --tls"
        raise Unreachable(message) from error
    except OSError as error:
        raise Unreachable(_refused(reach)) from error


def context_of(reach: Reach) -> ssl.SSLContext:
    """Trust and show what gRPC will, or end the command where a file is not what it must be."""
    authorities = (reach.authorities or b"").decode("ascii", "replace") or None
    try:
        context = ssl.create_default_context(cadata=authorities)
    except ssl.SSLError:
        fail("--ca-file: has no certificate in PEM", MISTAKE)
    context.set_alpn_protocols(["h2"])
    # gRPC too trusts a certificate that is given, whoever signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = not reach.is_pinned
    if reach.certificate and reach.key:
        try:
            # A passphrase would be asked for on the terminal.
            context.load_cert_chain(reach.certificate, reach.key, password="")
        except (ssl.SSLError, OSError, ValueError):
            fail(
                f"--cert-file and --key-file: {reach.certificate} and {reach.key} are"
                " not a certificate and its key in PEM, without a passphrase",
                MISTAKE,
            )
    return context


def _untrusted(reach: Reach, error: ssl.SSLCertVerificationError) -> str:
    if "mismatch" in error.verify_message:
        wanted = reach.server_name or reach.host
        return f"its certificate is not for {wanted} (--server-name says for whom)"
    trusted = "--ca-file says whom to trust"
    if reach.is_pinned:
        trusted = "it is not that of tls.certificate"
    return f"its certificate is not trusted: {error.verify_message} ({trusted})"


def _listen(reach: Reach, secured: ssl.SSLSocket) -> None:
    """Wait for its first byte: with TLS 1.3 it looks at our certificate after the handshake."""
    try:
        first = secured.recv(1)
    except TimeoutError:
        return
    except OSError as error:
        raise Unreachable(_refused(reach)) from error
    if not first:
        raise Unreachable(_refused(reach))


def _refused(reach: Reach) -> str:
    if reach.certificate is None:
        return "it wants a certificate of ours (--cert-file, --key-file)"
    return f"it does not accept the certificate {reach.certificate}"


def _refuse_tls(connection: socket.socket) -> None:
    """Tell whether TLS is spoken where we do not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is said to whoever it is
    context.set_alpn_protocols(["h2"])
    try:
        context.wrap_socket(connection).close()
    except OSError:
        return
    message = "it speaks TLS: grpcs:// before the address, or --tls"
    raise Unreachable(message)
