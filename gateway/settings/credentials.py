"""The files that say who we are and who callers are: read, so that a wrong one is told of."""

import tomllib
from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.identity.certificates import CertificateError, Certificates
from gateway.settings.identity import IdentitySettings, KeySettings, TlsSettings
from gateway.settings.identity_checks import key_problems
from gateway.settings.words import in_words

_KEYS_FILE = "identity.keys_file"


class WrongKeysError(Exception):
    """The keys cannot be used.

    Args:
        problems: Each with its path.

    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def file_problems(
    tls: TlsSettings, identity: IdentitySettings, routes: Container[str]
) -> Iterator[str]:
    """Name every problem of the files, with the setting that names the file."""
    try:
        certificates(tls)
    except CertificateError as error:
        yield f"tls.{error}"
    if identity.mode == "keys":
        try:
            read_keys(identity, routes)
        except WrongKeysError as error:
            yield from error.problems
    if identity.mode == "certificates":
        yield from _certified_problems()
    if identity.mode == "jwt" and identity.jwt:
        yield from _jwt_problems(identity.jwt.jwks_file)


def certificates(tls: TlsSettings) -> Certificates | None:
    """Read what listeners show; None: there is no TLS.

    Raises:
        CertificateError: One of the files cannot be used.

    """
    if not tls.certificate:
        return None
    return Certificates(
        certificate=Path(tls.certificate),
        key=Path(tls.key),
        client_ca=Path(tls.client_ca) if tls.client_ca else None,
    )


def read_keys(
    identity: IdentitySettings, routes: Container[str]
) -> dict[str, KeySettings]:
    """Give all keys, by name: those of the configuration, and those of the file.

    Raises:
        WrongKeysError: There are none, or some are wrong.

    """
    keys = dict(identity.keys)
    if identity.keys_file:
        more = _in_file(Path(identity.keys_file))
        twice = [
            f"{_KEYS_FILE}: {name} is in the configuration too"
            for name in more
            if name in keys
        ]
        if twice:
            raise WrongKeysError(tuple(twice))
        keys |= more
    if problems := tuple(key_problems(keys, routes)):
        raise WrongKeysError(problems)
    return keys


def _in_file(path: Path) -> dict[str, KeySettings]:
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        problem = f"{_KEYS_FILE}: cannot read {path}: {error.strerror}"
        raise WrongKeysError((problem,)) from error
    except ValueError as error:  # it would be quoted, and may be a key by mistake
        raise WrongKeysError((f"{_KEYS_FILE}: {path} is not TOML",)) from error
    keys = _keys_in(raw)
    if not keys:
        raise WrongKeysError((f"{_KEYS_FILE}: {path} has no [identity.keys.NAME]",))
    try:
        return IdentitySettings.model_validate({"keys": keys}).keys
    except ValidationError as error:
        raise WrongKeysError(
            tuple(f"{_KEYS_FILE}: {path}: {in_words(each)}" for each in error.errors())
        ) from error


def _keys_in(raw: Mapping[str, Any]) -> Any:  # noqa: ANN401 - TOML, of any kind
    """Give what stands below `[identity.keys]`, if nothing stands beside it."""
    identity = raw.get("identity")
    if set(raw) != {"identity"} or not isinstance(identity, dict):
        return None
    return identity.get("keys") if set(identity) == {"keys"} else None


def _certified_problems() -> Iterator[str]:
    try:
        import gateway.identity.certified  # noqa: F401 - whether it can be
    except ImportError as error:
        yield (
            f"identity.mode: {error.name} is missing: pip install"
            " 'rerank-gateway[certificates]'"
        )


def _jwt_problems(jwks_file: str) -> Iterator[str]:
    try:
        from gateway.identity.jwks import KeySet, KeysUnavailable
    except ImportError as error:
        yield (
            f"identity.mode: {error.name} is missing: pip install 'rerank-gateway[jwt]'"
        )
        return
    if not jwks_file:
        return
    try:
        KeySet(Path(jwks_file).read_bytes())
    except OSError as error:
        yield f"identity.jwt.jwks_file: cannot read {jwks_file}: {error.strerror}"
    except KeysUnavailable as error:
        yield f"identity.jwt.jwks_file: {error}"
