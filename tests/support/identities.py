"""Certificates, keys, tokens and callers for tests: real ones, made on the spot."""

import datetime as dt
import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import grpc
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from gateway.identity.caller import Caller, caller

ISSUER = "https://issuer.test/"
AUDIENCE = "rerank"

_NOW = dt.datetime.now(dt.UTC)
_DAY = dt.timedelta(days=1)


@contextmanager
def by(tenant: str) -> Iterator[None]:
    """Call as one of a tenant does, once its credentials were checked."""
    token = caller.set(Caller(tenant))
    try:
        yield
    finally:
        caller.reset(token)


def keys_of(*tenants: str) -> Mapping[str, Any]:
    """Give the section `identity` by which each tenant has the key of `shown_by`."""
    return {
        "mode": "keys",
        "keys": {
            name: {
                "sha256": sha256(_key_of(name).encode()).hexdigest(),
                "tenant": name,
                "admin": True,
            }
            for name in tenants
        },
    }


def shown_by(tenant: str) -> tuple[tuple[str, str]]:
    """Give the metadata of a tenant's call."""
    return (("authorization", f"Bearer {_key_of(tenant)}"),)


def credentials_of(tenant: str) -> grpc.ChannelCredentials:
    """Show it with every call of a channel to this machine."""
    return grpc.composite_channel_credentials(
        grpc.local_channel_credentials(),
        grpc.access_token_call_credentials(_key_of(tenant)),
    )


def _key_of(tenant: str) -> str:
    return f"key-of-{tenant}"


@dataclass(frozen=True, slots=True)
class Files:
    """A certificate and its key, in files."""

    certificate: Path
    key: Path

    @property
    def pem(self) -> bytes:
        """Give the certificate."""
        return self.certificate.read_bytes()

    def replace_by(self, other: "Files") -> None:
        """Put the other's in place of these, each at one stroke, one after the other."""
        for ours, theirs in (
            (self.key, other.key),
            (self.certificate, other.certificate),
        ):
            new = ours.with_suffix(".new")
            new.write_bytes(theirs.read_bytes())
            new.replace(ours)


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _unsigned(self._name, self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(_pem(certificate))

    @property
    def pem(self) -> bytes:
        """Give its own certificate."""
        return self.file.read_bytes()

    def signed(self, name: str, *, domain: str = "") -> Files:
        """Make a certificate of 127.0.0.1, for a server or for a client.

        Args:
            name: What it, and its files, are called.
            domain: It is of this one instead.

        """
        places: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
            x509.DNSName("localhost"),
        ]
        if domain:
            places = [x509.DNSName(domain)]
        return self.certified(name, common=(name,), alternative=places)

    def certified(
        self,
        name: str,
        *,
        common: Sequence[str] = (),
        alternative: Sequence[x509.GeneralName] = (),
    ) -> Files:
        """Make a certificate with these names, in files that have another one."""
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = _unsigned(_named(*common), self._name, key.public_key())
        if alternative:
            names = x509.SubjectAlternativeName(alternative)
            # Critical where it is all that tells whose it is.
            unsigned = unsigned.add_extension(names, critical=not common)
        certificate = unsigned.sign(self._key, hashes.SHA256())
        made = Files(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        made.certificate.write_bytes(_pem(certificate))
        made.key.write_bytes(private_pem(key))
        return made


def _named(*common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each) for each in common])


def _unsigned(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOW - _DAY)
        .not_valid_after(_NOW + _DAY)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey, passphrase: bytes = b"") -> bytes:
    """Write a private key."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        encryption = serialization.BestAvailableEncryption(passphrase)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """Make one, once: it takes a while."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs tokens with one key."""

    kid: str
    algorithm: str = "ES256"
    key: PrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def jwk(self) -> dict[str, Any]:
        """Give the public key, as the issuer publishes it."""
        kind: Any = jwt.algorithms.RSAAlgorithm
        if isinstance(self.key, ec.EllipticCurvePrivateKey):
            kind = jwt.algorithms.ECAlgorithm
        public = kind.to_jwk(self.key.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def token(self, *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Sign a token that is right, but for what is said here; None leaves a claim out."""
        now = dt.datetime.now(dt.UTC).timestamp()
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "shop",
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        return jwt.encode(
            {name: value for name, value in said.items() if value is not None},
            self.key,
            self.algorithm,
            {"kid": self.kid, **(headers or {})},
        )


def jwks(*signers: Signer) -> bytes:
    """Write what an issuer publishes."""
    return json.dumps({"keys": [each.jwk for each in signers]}).encode()
