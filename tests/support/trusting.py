"""Whom the gateway trusts as an operator says it: by variables that are read once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.backends import transport
from gateway.backends.authorities import authorities


@contextmanager
def trusting(file: Path | None, *, folder: Path | None = None) -> Iterator[None]:
    """Trust those in a file, or in a folder as OpenSSL has it, and nobody else."""
    with pytest.MonkeyPatch.context() as patched:
        for name, place in (("SSL_CERT_FILE", file), ("SSL_CERT_DIR", folder)):
            if place:
                patched.setenv(name, str(place))
            else:
                patched.delenv(name, raising=False)
        _forget()
        try:
            yield
        finally:
            _forget()


def _forget() -> None:
    authorities.cache_clear()
    transport._ssl_context.cache_clear()
