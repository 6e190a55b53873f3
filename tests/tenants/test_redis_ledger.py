"""The ledger in Redis, which gateways share."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import gateway.tenants.redis_ledger as module
from gateway.tenants.amounts import NOTHING
from gateway.tenants.ledger import Ledger, LedgerUnusable, Line
from gateway.tenants.redis_ledger import RedisLedger
from gateway.tenants.redis_reading import read_shared_ledger
from tests.support.redis_server import RedisServer
from tests.tenants.ledger_contract import (
    ACME,
    DAY,
    UNIT,
    LedgerContract,
    Shared,
    at_most,
    one,
)

pytestmark = pytest.mark.real_time


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def opened(url: str, told: list[str] | None = None) -> AsyncIterator[Ledger]:
    ledger = RedisLedger(
        url=url,
        timeout_s=5.0,
        keep_days=2,
        tell=(told if told is not None else []).append,
    )
    async with ledger.running():
        yield ledger


def place(server: RedisServer) -> Shared:
    async def lines(tenant: str | None) -> list[Line]:
        return await read_shared_ledger(
            server.url, timeout_s=5.0, day=DAY, tenant=tenant
        )

    return Shared(lambda: opened(server.url), lines)


class TestRedisLedger(LedgerContract):
    @pytest.fixture
    def shared(self, server: RedisServer) -> Shared:
        server.tell(b"FLUSHALL")
        return place(server)


async def test_what_nobody_settles_is_settled_with_its_estimate(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.tell(b"FLUSHALL")
    monkeypatch.setattr(module, "_LOST_AFTER_S", -1.0)
    async with opened(server.url) as ledger:
        lost = await one(ledger)
        (line,) = await place(server).all_lines()
        assert (line.reserved, line.spent, line.estimated) == (NOTHING, UNIT, 1)
        monkeypatch.setattr(module, "_LOST_AFTER_S", 300.0)
        monkeypatch.setattr("time.time", lambda: 4e9)
        assert not isinstance(await ledger.reserve(ACME, [UNIT], at_most(1)), list)
        (line,) = await place(server).all_lines()
        assert (line.reserved, line.spent, line.estimated) == (NOTHING, UNIT, 1)
        # Too late: it is settled.
        ledger.settle(lost, UNIT, estimated=False)
    (line,) = await place(server).all_lines()
    assert line.spent == UNIT


async def test_without_a_server_there_is_no_start() -> None:
    with pytest.raises(LedgerUnusable, match="ConnectionError"):
        async with opened("redis://127.0.0.1:1/0"):
            pass


async def test_what_cannot_be_written_now_is_written_later(tmp_path: Path) -> None:
    server = RedisServer(tmp_path)
    server.start()
    try:
        told: list[str] = []
        async with opened(server.url, told) as ledger:
            kept = await one(ledger)
            server.freeze()
            ledger.settle(kept, UNIT, estimated=False)
            asking = asyncio.create_task(one(ledger))
            await asyncio.sleep(0.05)
            server.thaw()
            await asking
        (line,) = await place(server).all_lines()
        assert line.spent == UNIT
        assert line.reserved == UNIT
    finally:
        server.kill()
