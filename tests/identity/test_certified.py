"""Certificates: whose they are, and which are nobody's."""

import datetime as dt
import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtensionOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.caller import Caller
from gateway.identity.certified import Certified, Name
from gateway.identity.shown import Shown
from tests.support.identities import Authority

SHOP, HALL = Caller("shop", key="shop"), Caller("hall", key="hall")
CALLERS = {
    Name("uri", "spiffe://test/shop"): SHOP,
    Name("dns", "hall.test"): HALL,
    Name("common_name", "shop"): SHOP,
    Name("common_name", "hall.test"): SHOP,
}


def uri(value: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(value)


def dns(value: str) -> x509.GeneralName:
    return x509.DNSName(value)


def pem(
    folder: Path, *common: str, alternative: Sequence[x509.GeneralName] = ()
) -> bytes:
    made = Authority(folder).certified("a", common=common, alternative=alternative)
    return made.pem


async def whose(certificate: bytes) -> Caller | None:
    found = await Certified(CALLERS).identify(Shown(certificate=certificate))
    if certificate.startswith(b"-----"):
        der = ssl.PEM_cert_to_DER_cert(certificate.decode())
        assert await Certified(CALLERS).identify(Shown(certificate=der)) is found
    return found


async def test_each_kind_of_name_is_its_owners(tmp_path: Path) -> None:
    assert await whose(pem(tmp_path, "shop")) is SHOP
    assert await whose(pem(tmp_path, alternative=[dns("hall.test")])) is HALL
    assert await whose(pem(tmp_path, alternative=[uri("spiffe://test/shop")])) is SHOP


async def test_other_names_beside_it_do_not_matter(tmp_path: Path) -> None:
    names = [dns("a.test"), uri("spiffe://test/a"), dns("hall.test")]
    assert await whose(pem(tmp_path, "any", alternative=names)) is HALL


@pytest.mark.parametrize(
    ("common", "alternative"),
    [
        ([], []),
        (["other"], [dns("other.test"), uri("spiffe://test/other")]),
        (["Shop"], []),
        (["shop "], []),
        (["shop\0.evil"], []),
        (["\0shop"], []),
        (["spiffe://test/shop"], []),
        ([], [dns("HALL.test")]),
        ([], [dns("*.test")]),
        ([], [dns("hall.test.")]),
        ([], [dns("hall.test\0.evil")]),
        ([], [dns("shop")]),
        ([], [uri("hall.test")]),
        ([], [uri("spiffe://test/shop/")]),
        ([], [uri("spiffe://test/shop\0")]),
        ([], [uri("spiffe://TEST/shop")]),
        ([], [x509.RFC822Name("shop")]),
    ],
)
async def test_what_is_not_the_name_to_the_letter_is_nobodys(
    common: list[str], alternative: list[x509.GeneralName], tmp_path: Path
) -> None:
    assert await whose(pem(tmp_path, *common, alternative=alternative)) is None


async def test_what_fits_several_is_nobodys(tmp_path: Path) -> None:
    both = [dns("hall.test"), uri("spiffe://test/shop")]
    assert await whose(pem(tmp_path, alternative=both)) is None
    assert await whose(pem(tmp_path, "shop", "shop")) is None
    assert await whose(pem(tmp_path, "shop", "other")) is None


@pytest.mark.parametrize("kind", ["a3", "a5"])
async def test_names_that_nobody_reads_are_nobodys(kind: str) -> None:
    # X.400 addresses and names of EDI parties, which an authority may well sign.
    names = x509.UnrecognizedExtension(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, bytes.fromhex(f"3002{kind}00")
    )
    key = ec.generate_private_key(ec.SECP256R1())
    common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(common)
        .issuer_name(common)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    assert await whose(certificate.public_bytes(serialization.Encoding.PEM)) is None


async def test_one_past_its_end_is_none_on_whatever_connection(tmp_path: Path) -> None:
    certificate = pem(tmp_path, "shop")
    end = x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    now = end.timestamp()
    certified = Certified(CALLERS, now=lambda: now)
    assert await certified.identify(Shown(certificate=certificate)) is SHOP
    now += dt.timedelta(seconds=1).total_seconds()
    assert await certified.identify(Shown(certificate=certificate)) is None


async def test_those_that_replace_others_are_known_alone(tmp_path: Path) -> None:
    certified = Certified(CALLERS)
    certified.replace({Name("common_name", "hall"): HALL})
    assert await certified.identify(Shown(certificate=pem(tmp_path, "shop"))) is None
    assert await certified.identify(Shown(certificate=pem(tmp_path, "hall"))) is HALL


async def test_metadata_says_nothing(tmp_path: Path) -> None:
    said = [("x509_common_name", "shop"), ("x-forwarded-client-cert", "shop")]
    certified = Certified(CALLERS)
    assert await certified.identify(Shown(said)) is None
    unknown = pem(tmp_path, "other")
    assert await certified.identify(Shown(said, unknown)) is None


@given(st.binary() | st.binary().map(lambda rest: b"-----BEGIN" + rest))
def test_whatever_is_shown_is_read(certificate: bytes) -> None:
    with pytest.raises(StopIteration) as ended:
        Certified(CALLERS).identify(Shown(certificate=certificate)).send(None)
    assert ended.value.value is None
