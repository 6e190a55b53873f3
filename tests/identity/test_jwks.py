"""The keys of an issuer, brought again and again, and never because strangers want it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.concurrency import in_the_background
from gateway.identity.jwks import Jwks, KeySet, KeysUnavailable
from tests.support.identities import Signer, jwks, rsa_key

OLD, NEW = Signer("old"), Signer("new")


class Issuer:
    """Publishes keys, and counts who asks."""

    def __init__(self, *signers: Signer) -> None:
        self.published = jwks(*signers)
        self.asked_at: list[float] = []
        self.problem = ""
        self.takes_s = 0.0

    async def fetch(self) -> bytes:
        self.asked_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.takes_s)
        if self.problem:
            raise KeysUnavailable(self.problem)
        return self.published


@asynccontextmanager
async def watched(issuer: Issuer) -> AsyncIterator[Jwks]:
    keys = Jwks(issuer.fetch, timeout_s=2.0, refresh_s=300, least_s=5, stale_s=3600)
    await keys.bring()
    async with in_the_background(keys.watch()):
        yield keys


async def test_a_key_that_is_known_is_not_asked_for_again() -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        for _ in range(100):
            assert await keys.find("old", "ES256")
    assert len(issuer.asked_at) == 1


async def test_the_set_is_brought_every_five_minutes() -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        issuer.published = jwks(NEW)
        await asyncio.sleep(301)
        assert await keys.find("new", "ES256")
        assert len(issuer.asked_at) == 2
        # What is not published any more is not believed any more.
        assert await keys.find("old", "ES256") is None


async def test_a_new_key_is_brought_at_once() -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        await asyncio.sleep(10)
        issuer.published = jwks(OLD, NEW)
        issuer.takes_s = 0.1
        began = asyncio.get_running_loop().time()
        found = await asyncio.gather(*(keys.find("new", "ES256") for _ in range(20)))
        assert all(found)
        assert asyncio.get_running_loop().time() - began == pytest.approx(0.1)
    assert len(issuer.asked_at) == 2


async def test_strangers_have_it_brought_every_five_seconds_at_most() -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        for number in range(1000):
            assert await keys.find(f"stranger-{number}", "ES256") is None
            await asyncio.sleep(0.1)
        assert await keys.find("old", "ES256")
    between = [
        later - earlier
        for earlier, later in zip(issuer.asked_at, issuer.asked_at[1:], strict=False)
    ]
    assert len(between) > 10
    assert min(between) >= 5


async def test_only_so_many_wait() -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        await asyncio.sleep(10)
        issuer.takes_s = 1.0
        began = asyncio.get_running_loop().time()
        ends: list[float] = []

        async def ask(number: int) -> None:
            await keys.find(f"stranger-{number}", "ES256")
            ends.append(asyncio.get_running_loop().time() - began)

        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(ask(number))
    assert sum(end == 0 for end in ends) == 100 - 64
    assert max(ends) <= 2.0


async def test_no_call_waits_longer_than_bringing_may_take() -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        await asyncio.sleep(10)
        issuer.takes_s = 1e6
        began = asyncio.get_running_loop().time()
        assert await keys.find("new", "ES256") is None
        assert asyncio.get_running_loop().time() - began <= 2.0
        assert await keys.find("old", "ES256")


async def test_while_it_cannot_be_had_the_last_one_stands_for_an_hour(
    caplog: pytest.LogCaptureFixture,
) -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        issuer.problem = "no answer (Refused)"
        await asyncio.sleep(3590)
        assert await keys.find("old", "ES256")
        await asyncio.sleep(20)
        assert await keys.find("old", "ES256") is None
        issuer.problem = ""
        await asyncio.sleep(6)
        assert await keys.find("old", "ES256")
    assert "no answer (Refused)" in caplog.text


async def test_an_issuer_that_is_down_at_the_start_is_asked_until_it_is_up() -> None:
    issuer = Issuer(OLD)
    issuer.problem = "no answer"
    async with watched(issuer) as keys:
        assert await keys.find("old", "ES256") is None
        issuer.problem = ""
        await asyncio.sleep(6)
        assert await keys.find("old", "ES256")


async def test_rubbish_does_not_replace_keys(caplog: pytest.LogCaptureFixture) -> None:
    issuer = Issuer(OLD)
    async with watched(issuer) as keys:
        with caplog.at_level(logging.WARNING):
            issuer.published = b"<html>secret</html>"
            await asyncio.sleep(301)
        assert await keys.find("old", "ES256")
    assert "it is no JSON Web Key Set" in caplog.text
    assert "secret" not in caplog.text


# One set


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"keys": []}',
        b'{"keys": {}}',
        b'{"keys": ["x", null, {}]}',
        b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "old"}]}',
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_a_set_without_public_keys_is_none(said: bytes) -> None:
    with pytest.raises(KeysUnavailable):
        KeySet(said)


def test_what_is_secret_or_encrypts_is_no_key() -> None:
    published = json.loads(jwks(OLD))
    published["keys"] += [
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
        {**NEW.jwk, "use": "enc"},
    ]
    keys = KeySet(json.dumps(published).encode())
    assert keys.has("old")
    assert not keys.has("secret")
    assert not keys.has("new")


def test_a_key_is_for_its_own_algorithm() -> None:
    rsa = Signer("rsa", "RS256", rsa_key())
    keys = KeySet(jwks(OLD, rsa))
    assert keys.find("rsa", "RS256")
    assert keys.find("rsa", "PS256") is None
    assert keys.find("rsa", "ES256") is None
    assert keys.find("old", "RS256") is None


def test_one_that_names_none_is_for_those_of_its_kind() -> None:
    free = {
        name: value
        for name, value in Signer("rsa", "RS256", rsa_key()).jwk.items()
        if name != "alg"
    }
    keys = KeySet(json.dumps({"keys": [free]}).encode())
    assert keys.find("rsa", "RS256")
    assert keys.find("rsa", "PS512")
    assert keys.find("rsa", "ES256") is None


def test_without_an_id_the_only_key_is_meant() -> None:
    assert KeySet(jwks(OLD)).find("", "ES256")
    assert KeySet(jwks(OLD, NEW)).find("", "ES256") is None
