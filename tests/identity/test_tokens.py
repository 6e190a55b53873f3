"""Tokens: whose they are, and whatever strangers send instead."""

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.identity.caller import Caller
from gateway.identity.jwks import Jwks
from gateway.identity.shown import Shown
from gateway.identity.tokens import Claims, Tokens
from tests.support.identities import AUDIENCE, ISSUER, Signer, jwks, rsa_key

SIGNER = Signer("of-today")
CLAIMS = Claims(
    tenant="org", routes="routes", collections="sets", admin="adm", write="wr"
)


async def tokens(*signers: Signer, claims: Claims = CLAIMS) -> Tokens:
    async def fetch() -> bytes:
        return jwks(*(signers or (SIGNER,)))

    keys = Jwks(fetch, timeout_s=1.0, refresh_s=300, least_s=5, stale_s=3600)
    await keys.bring()
    return Tokens(
        keys,
        issuer=ISSUER,
        audience=(AUDIENCE, "other"),
        algorithms=("RS256", "ES256"),
        leeway_s=30.0,
        claims=claims,
    )


def shown(token: str) -> Shown:
    return Shown([("authorization", f"Bearer {token}")])


async def caller_of(token: str, *signers: Signer) -> Caller | None:
    return await (await tokens(*signers)).identify(shown(token))


async def test_claims_say_what_a_caller_may() -> None:
    token = SIGNER.token(
        org="acme", routes=["a", "b"], sets="papers notes", adm=True, wr=False
    )
    assert await caller_of(token) == Caller(
        "acme",
        key="shop",
        routes=frozenset({"a", "b"}),
        collections=frozenset({"papers", "notes"}),
        is_admin=True,
        may_write=False,
    )


async def test_what_a_token_does_not_say_it_does_not_grant() -> None:
    found = await caller_of(SIGNER.token(org="acme"))
    assert found == Caller(
        "acme", key="shop", routes=frozenset(), collections=frozenset()
    )


async def test_what_no_claim_is_for_is_allowed_or_not_to_all() -> None:
    claims = Claims(tenant="sub", routes="", collections="", admin="", write="")
    some = await tokens(claims=claims)
    said: dict[str, Any] = {"": True, "routes": []}
    token = SIGNER.token(**said)
    assert await some.identify(shown(token)) == Caller("shop", key="shop")


@pytest.mark.parametrize("truth", [1, "true", ["true"], {"x": 1}, "yes", None])
async def test_only_true_makes_an_admin(truth: object) -> None:
    found = await caller_of(SIGNER.token(org="acme", adm=truth, wr=truth))
    assert found
    assert not found.is_admin
    assert not found.may_write


@pytest.mark.parametrize("said", [1, {"a": 1}, [1, None], True])
async def test_what_are_no_names_are_none(said: object) -> None:
    found = await caller_of(SIGNER.token(org="acme", routes=said))
    assert found
    assert found.routes == frozenset()


@pytest.mark.parametrize("tenant", ["", " ", "a b", "a\nb", "ä", "x" * 129, 5, ["a"]])
async def test_a_tenant_has_a_name(tenant: object) -> None:
    assert await caller_of(SIGNER.token(org=tenant)) is None


async def test_clocks_may_be_a_little_apart() -> None:
    now = time.time()
    assert await caller_of(SIGNER.token(org="a", exp=now - 20))
    assert await caller_of(SIGNER.token(org="a", exp=now - 40)) is None
    assert await caller_of(SIGNER.token(org="a", nbf=now + 20))
    assert await caller_of(SIGNER.token(org="a", nbf=now + 40)) is None


async def test_one_of_several_audiences_is_enough() -> None:
    assert await caller_of(SIGNER.token(org="a", aud=["x", "other"]))
    assert await caller_of(SIGNER.token(org="a", aud=["x"])) is None


@pytest.mark.filterwarnings("ignore:The RSA key is 1024 bits")
async def test_a_weak_key_signs_nothing() -> None:
    weak = Signer("weak", "RS256", rsa_key(1024))
    assert await caller_of(weak.token(org="a"), weak) is None


@pytest.mark.parametrize("exp", ["soon", 1e400, True, [], {}])
async def test_an_end_is_a_time(exp: object) -> None:
    found = await caller_of(SIGNER.token(org="a", exp=exp))
    assert found is None


def part(said: object) -> str:
    data = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"alg": "none"},
        {"alg": "None", "kid": "of-today"},
        {"alg": ["ES256"], "kid": "of-today"},
        {"alg": {}, "kid": "of-today"},
        {"alg": "ES256", "kid": 5},
        {"alg": "ES256", "kid": ["of-today"]},
        {"alg": "ES256", "kid": "of-today", "crit": ["exp"]},
        {"alg": "HS256", "kid": "of-today"},
        {"alg": "ES256", "kid": "of-today", "b64": False},
        [],
        b"[" * 10_000,
        b'{"alg":' * 2000,
        b"\xff",
    ],
)
async def test_a_header_that_no_library_writes_is_refused(header: object) -> None:
    said = {"iss": ISSUER, "aud": AUDIENCE, "org": "a", "exp": 9e9}
    some = await tokens()
    for signature in ("", "AAAA", part(b"x" * 64)):
        token = f"{part(header)}.{part(said)}.{signature}"
        assert await some.identify(shown(token)) is None


@given(st.text(st.characters(codec="ascii"), max_size=200))
def test_whatever_is_shown_is_read_and_refused(token: str) -> None:
    run(token)


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=70))
def test_whatever_has_three_parts_is_too(a: bytes, b: bytes, c: bytes) -> None:
    run(f"{part(a)}.{part(b)}.{part(c)}")


@given(
    st.dictionaries(
        st.sampled_from(["alg", "kid", "typ", "jwk", "crit", "b64"]),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.sampled_from(["ES256", "RS256", "of-today", "none"])
        | st.lists(st.text(max_size=5), max_size=3),
    )
)
def test_whatever_a_header_says_is_too(header: dict[str, Any]) -> None:
    run(f"{part(header)}.{part({'org': 'a'})}.{part(b'x' * 64)}")


def run(token: str) -> None:
    async def ask() -> None:
        some = await tokens()
        # Nobody looks after the keys here, so no call may wait for others.
        some._jwks._resting = True
        assert await some.identify(shown(token)) is None

    asyncio.run(ask())
