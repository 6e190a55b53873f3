"""Who may call: whatever is wrong with that is told, and nothing is served."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.identity.keys import HASH_OF_NOTHING, hash_of
from gateway.settings import Settings, SettingsError, checked, load
from gateway.settings.identity_checks import exposures, is_loopback
from tests.support.identities import Authority, Signer, jwks, private_pem

A, B = hash_of("a"), hash_of("b")
KEYS: dict[str, Any] = {"mode": "keys", "keys": {"a": {"sha256": A}}}
JWT: dict[str, Any] = {
    "mode": "jwt",
    "jwt": {"issuer": "i", "audience": ["a"], "jwks_url": "https://i/jwks"},
}


def problems(raw: Mapping[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as raised:
        checked(raw)
    return list(raised.value.problems)


def jwt(**more: object) -> dict[str, Any]:
    return {"identity": {**JWT, "jwt": {**JWT["jwt"], **more}}}


def keys(**more: object) -> dict[str, Any]:
    return {"identity": {"mode": "keys", "keys": {"a": {"sha256": A, **more}}}}


MUTUAL = {
    "certificate": "c",
    "key": "k",
    "client_ca": "a",
    "client_auth": "require",
}


NEEDS = 'identity.mode: "certificates" needs tls.client_ca, tls.client_auth = "require"'


def certificates(
    *entries: dict[str, Any],
    mode: str = "certificates",
    tls: dict[str, Any] = MUTUAL,
) -> dict[str, Any]:
    """Configure certificates, named a, b and so on."""
    named = dict(zip("abc", entries or ({"dns": "x"},), strict=False))
    return {"identity": {"mode": mode, "certificates": named}, "tls": tls}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"identity": {"mode": "oauth"}}, "identity.mode: input should be 'none'"),
        ({"identity": {"mode": ""}}, "identity.mode: input should be 'none'"),
        ({"identity": {"modes": "keys"}}, "identity.modes: there is no such setting"),
        ({"identity": {"mode": "keys"}}, "identity.keys: is required"),
        ({"identity": {**KEYS, "mode": "none"}}, "identity.keys: is of no use"),
        ({"identity": {"keys": KEYS["keys"]}}, "identity.keys: is of no use"),
        ({"identity": {"keys_file": "x"}}, "identity.keys_file: is of no use"),
        ({"identity": {**KEYS, "open": ["all"]}}, "identity.open.0: input should be"),
        (keys(sha256=A[:-1]), "identity.keys.a.sha256: must be 64 hexadecimal"),
        (keys(sha256=A.upper()), "identity.keys.a.sha256: must be 64 hexadecimal"),
        (keys(sha256=f"{A}\n"), "identity.keys.a.sha256: must be 64 hexadecimal"),
        (keys(sha256="rgw_secret"), "identity.keys.a.sha256: must be 64 hexadecimal"),
        (keys(sha256=HASH_OF_NOTHING), "identity.keys.a.sha256: is the hash of an"),
        (keys(key="rgw_secret"), "identity.keys.a.key: there is no such setting"),
        (keys(tenant=""), "identity.keys.a.tenant: must be 1 to 128"),
        (keys(tenant="a b"), "identity.keys.a.tenant: must be 1 to 128"),
        (keys(routes=["none"]), "identity.keys.a.routes: there is no route 'none'"),
        (keys(expires="2027-01-01T00:00:00"), "identity.keys.a.expires: "),
        (
            {"identity": {"mode": "keys", "keys": {"a": {}}}},
            "identity.keys.a.sha256: is required",
        ),
        (
            {
                "identity": {
                    "mode": "keys",
                    "keys": {"a": {"sha256": A}, "b": {"sha256": A}},
                }
            },
            "identity.keys.b.sha256: is that of identity.keys.a too",
        ),
        ({"identity": {"mode": "certificates"}}, "identity.certificates: is required"),
        (certificates(mode="none"), "identity.certificates: is of no use"),
        (certificates({}), "identity.certificates.a: exactly one of uri, dns and"),
        (
            certificates({"uri": "x", "dns": "y"}),
            "identity.certificates.a: exactly one of uri, dns and common_name is",
        ),
        (certificates({"dns": ""}), "identity.certificates.a.dns: must"),
        (certificates({"dns": "a\0b"}), "identity.certificates.a.dns: must"),
        (
            certificates({"dns": "x", "san": "y"}),
            "identity.certificates.a.san: there is no such setting",
        ),
        (
            certificates({"dns": "x", "routes": ["none"]}),
            "identity.certificates.a.routes: there is no route 'none'",
        ),
        (
            certificates({"dns": "x"}, {"dns": "x"}),
            "identity.certificates.b.dns: is that of identity.certificates.a too",
        ),
        (
            certificates({"dns": "x"}, tls={}),
            NEEDS,
        ),
        (
            certificates({"dns": "x"}, tls={"certificate": "c", "key": "k"}),
            NEEDS,
        ),
        (
            certificates({"dns": "x"}, tls={**MUTUAL, "listeners": ["http"]}),
            f"{NEEDS} and grpc among tls.listeners",
        ),
        (
            {
                **certificates({"dns": "x"}, tls={**MUTUAL, "listeners": ["grpc"]}),
                "http": {"address": "127.0.0.1:1"},
            },
            f"{NEEDS} and http among tls.listeners",
        ),
        ({"identity": {"mode": "jwt"}}, "identity.jwt: is required"),
        ({"identity": {**JWT, "mode": "none"}}, "identity.jwt: is of no use"),
        (jwt(jwks_url=""), "identity.jwt.jwks_url: either this or jwks_file"),
        (jwt(jwks_file="x"), "identity.jwt.jwks_url: either this or jwks_file"),
        (jwt(jwks_url="http://i/jwks"), "identity.jwt.jwks_url: must begin with"),
        (jwt(jwks_url="https://u:p@i/"), "identity.jwt.jwks_url: must begin with"),
        (jwt(jwks_url="file:///etc"), "identity.jwt.jwks_url: must begin with"),
        (jwt(algorithms=["HS256"]), "identity.jwt.algorithms.0: input should be"),
        (jwt(algorithms=["none"]), "identity.jwt.algorithms.0: input should be"),
        (jwt(algorithms=[]), "identity.jwt.algorithms: "),
        (jwt(audience=[]), "identity.jwt.audience: "),
        (jwt(issuer=""), "identity.jwt.issuer: "),
        (jwt(tenant_claim=""), "identity.jwt.tenant_claim: "),
        (jwt(leeway_s=301), "identity.jwt.leeway_s: "),
        (jwt(stale_s=100), "identity.jwt.stale_s: must not be less"),
        (jwt(least_s=50, refresh_s=20), "identity.jwt.least_s: must not be more"),
        ({"tls": {"key": "k"}}, "tls.certificate: is required"),
        ({"tls": {"client_auth": "require"}}, "tls.certificate: is required"),
        ({"tls": {"certificate": "c"}}, "tls.key: is required"),
        (
            {"tls": {"certificate": "c", "key": "k", "client_auth": "require"}},
            "tls.client_ca: is required",
        ),
        (
            {"tls": {"certificate": "c", "key": "k", "client_ca": "a"}},
            "tls.client_auth: must be",
        ),
        (
            {"tls": {"certificate": "c", "key": "k", "client_auth": "optional"}},
            "tls.client_auth: input should be",
        ),
        (
            {"tls": {"certificate": "c", "key": "k", "listeners": []}},
            "tls.listeners: ",
        ),
        (
            {"telemetry": {"metrics_sha256": "secret"}},
            "telemetry.metrics_sha256: must be 64 hexadecimal",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_path(raw: dict[str, Any], problem: str) -> None:
    said = problems(raw)
    assert len(said) == 1, said
    assert said[0].startswith(problem)
    assert "secret" not in said[0]


@pytest.mark.parametrize(
    "raw", [{"identity": KEYS}, {"identity": JWT}, certificates({"uri": "spiffe://a"})]
)
def test_what_is_right_is_taken(raw: dict[str, Any]) -> None:
    assert checked(raw).identity.mode == raw["identity"]["mode"]


# Whom others reach


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:1",
        "[::]:1",
        "10.0.0.1:1",
        "gateway:1",
        "127.evil.test:1",
        "localhost.x:1",
    ],
)
@pytest.mark.parametrize(
    ("section", "setting"), [("server", "address"), ("http", "address")]
)
def test_others_are_not_let_in_unasked(
    address: str, section: str, setting: str
) -> None:
    raw = {section: {setting: address}}
    (said,) = problems(raw)
    assert said.startswith(f"{section}.{setting}: others reach it")
    assert checked({**raw, "identity": KEYS})
    tls = {"certificate": "c", "key": "k"}
    (said,) = problems({**raw, "tls": tls})
    assert said.startswith(f"{section}.{setting}: others reach it")
    mutual = {**tls, "client_ca": "a", "client_auth": "require"}
    assert checked({**raw, "tls": mutual})
    (said,) = problems({**raw, "tls": {**mutual, "listeners": ["metrics"]}})
    assert said.startswith(f"{section}.{setting}: others reach it")
    anonymous = {"server": {**raw.get("server", {}), "allow_anonymous": True}}
    assert checked({**raw, **anonymous})


@pytest.mark.parametrize(
    "address", ["127.0.0.1:0", "127.1.2.3:1", "[::1]:1", "localhost:1"]
)
def test_this_machine_is(address: str) -> None:
    settings = checked(
        {
            "server": {"address": address},
            "http": {"address": address},
            "telemetry": {"metrics_address": address},
        }
    )
    assert not list(exposures(settings))


def test_nor_are_they_let_read_metrics() -> None:
    raw: dict[str, Any] = {"telemetry": {"metrics_address": "0.0.0.0:9464"}}
    (said,) = problems({**raw, "identity": KEYS})
    assert said.startswith("telemetry.metrics_address: others reach it")
    for more in ({"metrics_sha256": A}, {"allow_anonymous": True}):
        assert checked({"telemetry": {**raw["telemetry"], **more}})


def test_where_it_is_wrong_who_may_call_no_more_is_said_of_it() -> None:
    said = problems({"server": {"address": "0.0.0.0:1"}, "identity": {"mode": "key"}})
    assert [each.partition(":")[0] for each in said] == ["identity.mode"]


def test_an_operator_hears_of_what_is_open() -> None:
    anonymous = checked(
        {
            "server": {"address": "0.0.0.0:1", "allow_anonymous": True},
            "http": {"address": "0.0.0.0:2"},
            "telemetry": {"metrics_address": "0.0.0.0:3", "allow_anonymous": True},
        }
    )
    assert list(exposures(anonymous)) == [
        "anybody who reaches 0.0.0.0:1 may call: server.allow_anonymous",
        "anybody who reaches 0.0.0.0:2 may call: server.allow_anonymous",
        "anybody who reaches 0.0.0.0:3 may read the metrics",
    ]
    in_the_clear = checked({"server": {"address": "0.0.0.0:1"}, "identity": KEYS})
    (said,) = exposures(in_the_clear)
    assert said.startswith("keys and tokens come to 0.0.0.0:1 in the clear")


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "::", "", "1", "2130706433", "::ffff:8.8.8.8"]
)
def test_what_is_not_surely_loopback_is_not(host: str) -> None:
    assert not is_loopback(host)


# Files


def loaded(**environ: str) -> Settings:
    prefix = "RERANK_GATEWAY__"
    return load(environ={f"{prefix}{name}": value for name, value in environ.items()})


def file_problem(**environ: str) -> str:
    with pytest.raises(SettingsError) as raised:
        loaded(**environ)
    (said,) = raised.value.problems
    return said


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "identity.keys_file: cannot read"),
        ("", "identity.keys_file: {file} has no [identity.keys.NAME]"),
        ("[identity.keys]", "identity.keys_file: {file} has no [identity.keys.NAME]"),
        ("secret", "identity.keys_file: {file} is not TOML"),
        ("[a]\nsha256 = ''", "identity.keys_file: {file} has no [identity.keys.NAME]"),
        ("[identity]\nmode = 'none'", "identity.keys_file: {file} has no"),
        (
            f"[identity]\nmode = 'none'\n[identity.keys.a]\nsha256 = '{A}'",
            "identity.keys_file: {file} has no",
        ),
        (
            "[identity.keys.a]\nsha256 = 'secret'",
            "identity.keys_file: {file}: keys.a.sha256: must be 64 hexadecimal",
        ),
        (f"[identity.keys.a]\nsha256 = '{HASH_OF_NOTHING}'", "identity.keys.a.sha256:"),
        (
            f"[identity.keys.a]\nsha256 = '{A}'\nroutes = ['x']",
            "identity.keys.a.routes: there is no route 'x'",
        ),
    ],
)
def test_a_file_of_keys_is_right_or_refused(
    content: str | None, problem: str, tmp_path: Path
) -> None:
    file = tmp_path / "keys.toml"
    if content is not None:
        file.write_text(content)
    said = file_problem(IDENTITY__MODE="keys", IDENTITY__KEYS_FILE=str(file))
    assert said.startswith(problem.format(file=file))
    assert "secret" not in said


def test_a_key_is_in_one_place(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f"[identity.keys.a]\nsha256 = '{A}'")
    more = {"IDENTITY__MODE": "keys", "IDENTITY__KEYS_FILE": str(file)}
    said = file_problem(**more, IDENTITY__KEYS__A__SHA256=B)
    assert said == "identity.keys_file: a is in the configuration too"
    said = file_problem(**more, IDENTITY__KEYS__B__SHA256=A)
    assert said.endswith("is that of identity.keys.b too")
    assert loaded(**more, IDENTITY__KEYS__B__SHA256=B)


def test_a_set_of_keys_is_right_or_refused(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    more = {
        "IDENTITY__MODE": "jwt",
        "IDENTITY__JWT__ISSUER": "i",
        "IDENTITY__JWT__AUDIENCE": '["a"]',
        "IDENTITY__JWT__JWKS_FILE": str(file),
    }
    assert file_problem(**more).startswith(
        f"identity.jwt.jwks_file: cannot read {file}"
    )
    file.write_text('{"keys": [{"kty": "oct", "k": "secret"}]}')
    said = file_problem(**more)
    assert said == "identity.jwt.jwks_file: it has no public key that signs"
    file.write_bytes(jwks(Signer("a")))
    assert loaded(**more)


def test_a_certificate_is_right_or_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    one, two = authority.signed("one"), authority.signed("two")
    locked = tmp_path / "locked.key"
    locked.write_bytes(private_pem(authority._key, b"passphrase"))
    rubbish = tmp_path / "rubbish"
    rubbish.write_text("rubbish")
    nowhere = tmp_path / "nowhere"

    def said(certificate: Path, key: Path, ca: Path | None = None) -> str:
        mutual = {"TLS__CLIENT_CA": str(ca), "TLS__CLIENT_AUTH": "require"}
        return file_problem(
            TLS__CERTIFICATE=str(certificate),
            TLS__KEY=str(key),
            **(mutual if ca else {}),
        )

    assert said(nowhere, one.key).startswith("tls.certificate: cannot read")
    assert said(one.certificate, nowhere).startswith("tls.key: cannot read")
    assert said(tmp_path, one.key).startswith("tls.certificate: cannot read")
    assert said(rubbish, one.key) == "tls.certificate: has no certificate in PEM"
    assert said(one.key, one.key) == "tls.certificate: has no certificate in PEM"
    assert said(one.certificate, rubbish).startswith(f"tls.key: {rubbish} has no")
    assert said(one.certificate, locked).startswith(f"tls.key: {locked} has no")
    assert said(one.certificate, two.key).startswith(f"tls.key: {two.key} is not")
    assert said(one.certificate, one.key, nowhere).startswith("tls.client_ca: cannot")
    assert said(one.certificate, one.key, rubbish) == (
        "tls.client_ca: has no certificate in PEM"
    )
    assert loaded(TLS__CERTIFICATE=str(one.certificate), TLS__KEY=str(one.key))
