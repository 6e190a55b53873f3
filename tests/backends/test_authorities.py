"""Whom we trust to say who a server is, as an operator names them."""

import ssl
from pathlib import Path

import certifi
import pytest

from gateway.backends.authorities import (
    NobodyTrusted,
    authorities,
    is_unproven,
    trust_problem,
)
from tests.support.identities import Authority
from tests.support.trusting import trusting


def held(pem: bytes) -> int:
    """Count the certificates, as both protocols read them."""
    context = ssl.create_default_context(cadata=pem.decode("ascii"))
    return len(context.get_ca_certs())


def test_where_nobody_is_named_it_is_the_list_of_browsers() -> None:
    with trusting(None):
        ours = held(authorities())
    assert ours == len(
        ssl.create_default_context(cafile=certifi.where()).get_ca_certs()
    )
    assert ours > 50


def test_those_of_a_file_are_trusted_and_nobody_else(tmp_path: Path) -> None:
    made = Authority(tmp_path)
    made.file.write_bytes("# Gesellschaft für Züge\n".encode() + made.pem * 2)
    with trusting(made.file):
        assert held(authorities()) == 1


def test_those_of_a_folder_are_trusted_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    one, two, three = (Authority(tmp_path, name) for name in ("one", "two", "three"))
    (folder / "0123abcd.0").write_bytes(one.pem)
    # OpenSSL would not find it either.
    (folder / "two.pem").write_bytes(two.pem)
    with trusting(None, folder=folder):
        assert authorities().strip() == one.pem.strip()
    with trusting(three.file, folder=folder):
        assert held(authorities()) == 2


@pytest.mark.parametrize("written", [None, b"", b"no certificate"])
def test_where_there_are_none_nobody_is_trusted(
    tmp_path: Path, written: bytes | None
) -> None:
    file = tmp_path / "mistyped.pem"
    if written is not None:
        file.write_bytes(written)
    with trusting(file):
        with pytest.raises(NobodyTrusted, match="SSL_CERT_FILE: "):
            authorities()
        assert trust_problem(["http://a", "https://b"]).startswith("SSL_CERT_FILE: ")
        assert trust_problem(["GRPCS://b"])
        assert not trust_problem(["http://a", "grpc://a"])
    with (
        trusting(None, folder=tmp_path / "nowhere"),
        pytest.raises(NobodyTrusted, match="SSL_CERT_DIR: cannot read"),
    ):
        authorities()


def test_one_that_wants_a_certificate_of_ours_may_have_proven_its_own() -> None:
    assert not is_unproven("SSL_ERROR_SSL: TLSV1_ALERT_CERTIFICATE_REQUIRED")
