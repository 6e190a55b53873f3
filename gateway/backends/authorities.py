"""Whom we trust to say who a server is: one list, whatever is spoken to it."""

import os
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import certifi

_FILE, _FOLDER = "SSL_CERT_FILE", "SSL_CERT_DIR"

# As OpenSSL looks for them in a folder: what else is there is not trusted.
_IN_A_FOLDER = re.compile(r"[0-9a-f]{8}\.[0-9]+")
# Between them may be anything, such as names in other alphabets than ASCII.
_CERTIFICATE = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)

# What gRPC says of them, which has no status for it.
_UNPROVEN = (
    "certificate_verify_failed",
    "certificate signature failure",
    "hostname verification",
)


class NobodyTrusted(OSError):
    """Whom to trust cannot be read; one line says why."""


@cache
def authorities() -> bytes:
    """Read their certificates, once.

    Where SSL_CERT_FILE or SSL_CERT_DIR name them, those and nobody else; otherwise the
    list of Mozilla, as `certifi` has it. gRPC would have a list and a variable of its own.

    Returns:
        At least one certificate, in PEM.

    Raises:
        NobodyTrusted: They cannot be read, or there are none.

    """
    # `ssl` would pass over a file that is not there, and trust others.
    file, folder = os.environ.get(_FILE), os.environ.get(_FOLDER)
    found: dict[bytes, None] = {}
    for said, each in _files(file, folder):
        try:
            found |= dict.fromkeys(_CERTIFICATE.findall(each.read_bytes()))
        except OSError as error:
            message = f"{said}: cannot read {each}: {error.strerror}"
            raise NobodyTrusted(message) from error
    if not found:
        said = " and ".join(
            name for name, place in ((_FILE, file), (_FOLDER, folder)) if place
        )
        message = f"{said}: no certificate in PEM is there"
        raise NobodyTrusted(message)
    return b"\n".join(found) + b"\n"


def _files(file: str | None, folder: str | None) -> Iterator[tuple[str, Path]]:
    """Name the files with certificates, each with the variable that says so."""
    if file:
        yield _FILE, Path(file)
    elif not folder:
        yield "certifi", Path(certifi.where())
    if folder:
        # That it is not there is told as of a file.
        within: Iterable[Path] = [Path(folder)]
        if Path(folder).is_dir():
            within = (
                each
                for each in sorted(Path(folder).iterdir())
                if _IN_A_FOLDER.fullmatch(each.name)
            )
        yield from ((_FOLDER, each) for each in within)


def trust_problem(urls: Iterable[str]) -> str:
    """Say why nobody at these can be trusted; empty: somebody can, or need not be."""
    if any(each.lower().startswith(("https://", "grpcs://")) for each in urls):
        try:
            authorities()
        except NobodyTrusted as error:
            return str(error)
    return ""


def is_unproven(details: str) -> bool:
    """Tell whether gRPC failed since nobody we trust says that a server is who it is."""
    said = details.lower()
    return any(each in said for each in _UNPROVEN)
