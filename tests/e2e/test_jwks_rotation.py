"""An issuer that changes its keys, over HTTP, while callers come and go."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.e2e.running import Running, rerank_request, running
from tests.support.identities import AUDIENCE, ISSUER, Signer, jwks

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0


@dataclass(slots=True)
class Issuer:
    """Publishes keys."""

    published: bytes = b""
    status: int = 200
    asked: int = 0
    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.headers.append(dict(request.headers))
        return web.Response(body=self.published, status=self.status)


@asynccontextmanager
async def publishing(*signers: Signer) -> AsyncIterator[Issuer]:
    issuer = Issuer(jwks(*signers))
    app = web.Application()
    app.router.add_get("/jwks", issuer.answer)
    async with TestServer(app, host="127.0.0.1") as server:
        issuer.url = str(server.make_url("/jwks"))
        yield issuer


@asynccontextmanager
async def serving(issuer: Issuer, least_s: str = "0.05") -> AsyncIterator[Running]:
    prefix = "RERANK_GATEWAY__IDENTITY__"
    environ = {
        f"{prefix}MODE": "jwt",
        f"{prefix}JWT__ISSUER": ISSUER,
        f"{prefix}JWT__AUDIENCE": f'["{AUDIENCE}"]',
        f"{prefix}JWT__JWKS_URL": issuer.url,
        f"{prefix}JWT__LEAST_S": least_s,
    }
    async with running({}, environ=environ) as gateway:
        yield gateway


async def call(gateway: Running, token: str) -> str:
    metadata = [("authorization", f"Bearer {token}")]
    try:
        await gateway.stub.Rerank(
            rerank_request(2), metadata=metadata, timeout=_PATIENCE_S
        )
    except grpc.aio.AioRpcError as error:
        return error.code().name
    return "OK"


async def until(gateway: Running, token: str, wanted: str) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while await call(gateway, token) != wanted:
            pass


async def test_a_new_key_is_believed_and_an_old_one_no_more() -> None:
    old, new = Signer("old"), Signer("new")
    async with publishing(old) as issuer, serving(issuer) as gateway:
        assert await call(gateway, old.token()) == "OK"
        assert await call(gateway, new.token()) == "UNAUTHENTICATED"
        issuer.published = jwks(old, new)
        await until(gateway, new.token(), "OK")
        assert await call(gateway, old.token()) == "OK"
        issuer.published = jwks(new)
        # The set is brought again since somebody shows a key that nobody has.
        never = Signer("never").token()
        async with asyncio.timeout(_PATIENCE_S):
            while await call(gateway, old.token()) == "OK":
                assert await call(gateway, never) == "UNAUTHENTICATED"
        assert await call(gateway, new.token()) == "OK"


async def test_callers_do_not_notice_the_change() -> None:
    """The issuer publishes the next key before it signs with it, as all of them do."""
    signers = [Signer(f"of-day-{day}") for day in range(4)]
    async with publishing(signers[0]) as issuer, serving(issuer) as gateway:
        outcomes: list[str] = []
        today = 0
        over = asyncio.Event()

        async def keep_calling() -> None:
            while not over.is_set():
                outcomes.append(await call(gateway, signers[today].token()))

        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(keep_calling())
            for day in range(1, 4):
                issuer.published = jwks(signers[day - 1], signers[day])
                await until(gateway, signers[day].token(), "OK")
                today = day
                made = len(outcomes)
                async with asyncio.timeout(_PATIENCE_S):
                    while len(outcomes) < made + 20:
                        assert await call(gateway, signers[day].token()) == "OK"
            over.set()
    assert set(outcomes) == {"OK"}


async def test_strangers_do_not_make_the_issuer_work() -> None:
    signer = Signer("known")
    async with publishing(signer) as issuer, serving(issuer, "5") as gateway:
        for number in range(200):
            told = await call(gateway, Signer(f"stranger-{number}").token())
            assert told == "UNAUTHENTICATED"
        assert await call(gateway, signer.token()) == "OK"
    assert issuer.asked <= 2
    assert not {"Authorization", "Cookie"} & set(issuer.headers[0])


@pytest.mark.parametrize("status", [302, 401, 500])
async def test_an_issuer_that_fails_lets_nobody_in_and_stops_no_start(
    status: int,
) -> None:
    signer = Signer("known")
    async with publishing(signer) as issuer:
        issuer.status = status
        async with serving(issuer) as gateway:
            assert await call(gateway, signer.token()) == "UNAUTHENTICATED"
            issuer.status = 200
            await until(gateway, signer.token(), "OK")
            # From now on what is known stands.
            issuer.status = status
            asked = issuer.asked
            async with asyncio.timeout(_PATIENCE_S):
                while issuer.asked == asked:
                    await call(gateway, Signer("never").token())
            assert await call(gateway, signer.token()) == "OK"
