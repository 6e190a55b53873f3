"""What can be wrong with who may call; whatever is, nothing is served."""

from collections.abc import Container, Iterator, Mapping
from ipaddress import ip_address
from typing import Protocol
from urllib.parse import urlsplit

from gateway.identity.keys import HASH_OF_NOTHING
from gateway.settings.http import HttpSettings
from gateway.settings.identity import (
    CertificateSettings,
    GrantSettings,
    IdentitySettings,
    JwtSettings,
    KeySettings,
    TlsSettings,
)
from gateway.settings.server import ServerSettings, host_and_port
from gateway.settings.telemetry import TelemetrySettings


class _Parts(Protocol):
    """The sections that matter here."""

    server: ServerSettings
    http: HttpSettings
    tls: TlsSettings
    identity: IdentitySettings
    telemetry: TelemetrySettings


def tls_problems(tls: TlsSettings) -> Iterator[str]:
    """Name every problem of TLS that can be told without a look into files."""
    if tls.certificate and not tls.key:
        yield "tls.key: is required with tls.certificate"
    if not tls.certificate:
        if tls.model_fields_set:
            yield "tls.certificate: is required with anything else of tls"
        return
    if not tls.listeners:
        yield "tls.listeners: must name at least one"
    if tls.client_auth == "require" and not tls.client_ca:
        yield 'tls.client_ca: is required with client_auth = "require"'
    if tls.client_ca and tls.client_auth == "none":
        yield 'tls.client_auth: must be "require", or client_ca is of no use'


def identity_problems(
    identity: IdentitySettings, routes: Container[str]
) -> Iterator[str]:
    """Name every problem of identities that can be told without a look into files.

    Args:
        identity: The settings.
        routes: The names of those that there are.

    """
    mode = identity.mode
    if mode != "keys":
        # Who gives keys and forgets the mode would be open to everybody.
        for name in ("keys", "keys_file"):
            if getattr(identity, name):
                yield f'identity.{name}: is of no use without identity.mode = "keys"'
    elif not (identity.keys or identity.keys_file):
        yield 'identity.keys: is required with identity.mode = "keys", or keys_file'
    if mode == "jwt" and identity.jwt is None:
        yield 'identity.jwt: is required with identity.mode = "jwt"'
    if mode != "jwt" and identity.jwt is not None:
        yield 'identity.jwt: is of no use without identity.mode = "jwt"'
    if identity.jwt is not None:
        yield from _jwt_problems(identity.jwt)
    if mode == "certificates" and not identity.certificates:
        yield 'identity.certificates: is required with identity.mode = "certificates"'
    if mode != "certificates" and identity.certificates:
        yield (
            'identity.certificates: is of no use without identity.mode = "certificates"'
        )
    yield from key_problems(identity.keys, routes)
    yield from _certificate_problems(identity.certificates, routes)


def key_problems(
    keys: Mapping[str, KeySettings], routes: Container[str]
) -> Iterator[str]:
    """Name every problem of keys."""
    owners: dict[str, str] = {}
    for name, key in keys.items():
        path = f"identity.keys.{name}"
        if key.sha256 == HASH_OF_NOTHING:
            yield f"{path}.sha256: is the hash of an empty key"
        if (other := owners.setdefault(key.sha256, name)) != name:
            yield f"{path}.sha256: is that of identity.keys.{other} too"
        yield from _route_problems(path, key, routes)


def _certificate_problems(
    certificates: Mapping[str, CertificateSettings], routes: Container[str]
) -> Iterator[str]:
    owners: dict[tuple[str, str], str] = {}
    for name, certificate in certificates.items():
        path = f"identity.certificates.{name}"
        names = certificate.names
        if len(names) != 1:
            yield f"{path}: exactly one of uri, dns and common_name is required"
        for each in names:
            if (other := owners.setdefault(each, name)) != name:
                yield f"{path}.{each[0]}: is that of identity.certificates.{other} too"
        yield from _route_problems(path, certificate, routes)


def _route_problems(
    path: str, grant: GrantSettings, routes: Container[str]
) -> Iterator[str]:
    for route in grant.routes or ():
        if route not in routes:
            yield f"{path}.routes: there is no route {route!r}"


def _jwt_problems(jwt: JwtSettings) -> Iterator[str]:
    path = "identity.jwt"
    if bool(jwt.jwks_url) == bool(jwt.jwks_file):
        yield f"{path}.jwks_url: either this or jwks_file is required"
    if jwt.jwks_url and not _is_safe(jwt.jwks_url):
        yield f"{path}.jwks_url: must begin with https://, or be on this machine"
    if not jwt.algorithms:
        yield f"{path}.algorithms: must name at least one"
    if jwt.least_s > jwt.refresh_s:
        yield f"{path}.least_s: must not be more than refresh_s"
    if jwt.stale_s < jwt.refresh_s:
        yield f"{path}.stale_s: must not be less than refresh_s"


def exposure_problems(settings: _Parts) -> Iterator[str]:
    """Name every listener that others reach, and that lets anybody in unasked.

    Args:
        settings: With addresses that are none, or can be taken apart.

    """
    server, tls = settings.server, settings.tls
    if settings.identity.mode == "none" and not server.allow_anonymous:
        for path, address, listener in (
            ("server.address", server.address, "grpc"),
            ("http.address", settings.http.address, "http"),
        ):
            if _is_exposed(address) and not tls.knows_callers(listener):
                yield (
                    f"{path}: others reach it, and nobody has to prove who it is: set"
                    " identity.mode, or server.allow_anonymous = true"
                )
    telemetry = settings.telemetry
    if (
        _is_exposed(telemetry.metrics_address)
        and not telemetry.metrics_sha256
        and not telemetry.allow_anonymous
        and not tls.knows_callers("metrics")
    ):
        yield (
            "telemetry.metrics_address: others reach it: set telemetry.metrics_sha256,"
            " or telemetry.allow_anonymous = true"
        )


def unproven(settings: _Parts) -> Iterator[str]:
    """Name every listener that callers reach without the certificate that they are known by."""
    if settings.identity.mode != "certificates":
        return
    for address, listener in (
        (settings.server.address, "grpc"),
        (settings.http.address, "http"),
    ):
        if address and not settings.tls.knows_callers(listener):
            yield (
                'identity.mode: "certificates" needs tls.client_ca, tls.client_auth ='
                f' "require" and {listener} among tls.listeners'
            )


def exposures(settings: _Parts) -> Iterator[str]:
    """Say what an operator has to know of listeners that others reach."""
    mode, server, tls = settings.identity.mode, settings.server, settings.tls
    for address, listener in (
        (server.address, "grpc"),
        (settings.http.address, "http"),
    ):
        if not _is_exposed(address):
            continue
        if mode == "none" and not tls.knows_callers(listener):
            yield f"anybody who reaches {address} may call: server.allow_anonymous"
        if mode != "none" and not tls.serves(listener):
            yield (
                f"keys and tokens come to {address} in the clear, unless what stands"
                " before it ends TLS"
            )
    metrics_address = settings.telemetry.metrics_address
    if _is_exposed(metrics_address) and settings.telemetry.allow_anonymous:
        yield f"anybody who reaches {metrics_address} may read the metrics"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine reaches a host; a name is not looked up."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _is_exposed(address: str) -> bool:
    return bool(address) and not is_loopback(host_and_port(address)[0])


def _is_safe(url: str) -> bool:
    """Tell whether nobody on the way can put keys of their own in place of these."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.username or parts.password or not host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
