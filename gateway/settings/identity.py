"""Who may call, how a caller proves who it is, and what it may do then."""

from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, Field

from gateway.settings.section import Seconds, Section

Tenant = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:@|/+=-]{1,128}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""As `rerank-gateway keys create` prints it."""
Collection = Annotated[str, Field(min_length=1)]
NameKind = Literal["uri", "dns", "common_name"]
NAME_KINDS: Final[tuple[NameKind, ...]] = ("uri", "dns", "common_name")
NameOfCertificate = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,2048}$")]
Claim = Annotated[str, Field(min_length=1)]

Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]
"""Asymmetric ones alone: with the others, whoever checks a token could make one."""

Openable = Literal["health", "reflection", "backends", "openapi"]


class GrantSettings(Section):
    """What somebody may do who is known by a key or a certificate."""

    tenant: Tenant | None = None
    """Whose limits and whose memory it uses; unset: the name of the section."""
    routes: tuple[Name, ...] | None = None
    """Those that it may use; the others are not there for it. Unset: all."""
    collections: tuple[Collection, ...] | None = None
    """Likewise."""
    write: bool = False
    """Whether it may import and delete documents."""
    admin: bool = False
    """Whether it may do that too, make and remove collections, and ask for backends."""


class KeySettings(GrantSettings):
    """One API key, of which only the hash is known."""

    sha256: Sha256
    """Of the key. A fast hash is right: a key is 256 random bits, so there is nothing to
    guess, and each call has to be checked."""
    expires: AwareDatetime | None = None
    """From when on it is none any more; unset: never."""


class CertificateSettings(GrantSettings):
    """Whose certificate it is that has this name: one of the three, to the letter."""

    uri: NameOfCertificate | None = None
    """One of its subject alternative names, such as `spiffe://cluster.local/ns/shop/sa/web`."""
    dns: NameOfCertificate | None = None
    """Likewise, such as `web.shop.example`."""
    common_name: NameOfCertificate | None = None
    """Of its subject, if that has exactly one."""

    @property
    def names(self) -> tuple[tuple[NameKind, str], ...]:
        """Give those that are set; exactly one, once it was checked."""
        return tuple(
            (kind, value)
            for kind in NAME_KINDS
            if (value := getattr(self, kind)) is not None
        )


class JwtSettings(Section):
    """Tokens that somebody else signs."""

    issuer: Annotated[str, Field(min_length=1)]
    """What their `iss` must be."""
    audience: Annotated[tuple[str, ...], Field(min_length=1)]
    """One of these must be in their `aud`."""
    jwks_url: str = ""
    """Where the issuer publishes its keys, https://…"""
    jwks_file: str = ""
    """Instead: a file with them."""
    algorithms: tuple[Algorithm, ...] = ("RS256", "ES256")
    leeway_s: Annotated[float, Field(ge=0, le=300)] = 30.0
    """How far the issuer's clock may be from ours."""
    timeout_s: Seconds = 5.0
    """How long bringing the keys may take."""
    refresh_s: Annotated[float, Field(ge=10, le=86_400)] = 300.0
    """How often they are brought; a token with a key that is not known brings them at once,
    at most every `least_s`."""
    least_s: Annotated[float, Field(ge=0.01, le=60)] = 5.0
    stale_s: Seconds = 3600.0
    """How long the last ones are believed while none can be brought; then nobody is."""
    tenant_claim: Claim = "sub"
    """Required in each token."""
    routes_claim: str = ""
    """A list of routes, or their names with spaces between; a token without it may use none.
    Unset: every token may use all."""
    collections_claim: str = ""
    """Likewise."""
    write_claim: str = ""
    """Where it is `true`, documents may be imported and deleted; unset: by no token."""
    admin_claim: str = ""
    """Likewise, of all that an admin may."""


class IdentitySettings(Section):
    """Whether callers must be known, and by what."""

    mode: Literal["none", "keys", "jwt", "certificates"] = "none"
    """`none`: anybody who reaches the gateway may call it, which is why it listens on
    loopback only then, unless `server.allow_anonymous` is set."""
    open: tuple[Openable, ...] = ("health",)
    """What needs no credentials all the same: `reflection` of gRPC, `backends`
    (BackendService, and those in `/health`), `openapi` (`/openapi.json`)."""
    keys: dict[Name, KeySettings] = Field(default_factory=dict)
    keys_file: str = ""
    """A TOML file with more of them, below `[identity.keys]` as here. It is read again
    when it was replaced."""
    look_every_s: Seconds = 5.0
    """How often that is looked for."""
    jwt: JwtSettings | None = None
    certificates: dict[Name, CertificateSettings] = Field(default_factory=dict)
    """Whose certificates are which, where `tls.client_auth` requires some."""


class TlsSettings(Section):
    """What listeners prove themselves by, and what callers must."""

    certificate: str = ""
    """PEM file: the certificate, and those that lead to its authority. Unset: no TLS."""
    key: str = ""
    """PEM file, without a passphrase."""
    client_ca: str = ""
    """PEM file: the authorities of callers' certificates."""
    client_auth: Literal["none", "require"] = "none"
    """`require`: who has no certificate of `client_ca` does not get as far as a call."""
    listeners: tuple[Literal["grpc", "http", "metrics"], ...] = (
        "grpc",
        "http",
        "metrics",
    )
    """Those that speak TLS, where there is a certificate."""
    look_every_s: Seconds = 5.0
    """How often it is looked whether the files were replaced; no restart is needed."""

    def serves(self, listener: str) -> bool:
        """Tell whether a listener speaks TLS."""
        return bool(self.certificate) and listener in self.listeners

    def knows_callers(self, listener: str) -> bool:
        """Tell whether nobody gets to a listener without a certificate."""
        return self.serves(listener) and self.client_auth == "require"
