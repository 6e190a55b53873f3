"""The ledger in a file: one thread, several processes, and deaths."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from gateway.tenants.amounts import NOTHING
from gateway.tenants.ledger import Account, Ledger, LedgerUnusable, Line
from gateway.tenants.ledger_lines import read_ledger
from gateway.tenants.ledger_thread import LedgerThread
from tests.e2e.subprocesses import ROOT
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


@asynccontextmanager
async def opened(
    path: Path, told: list[str] | None = None, *, keep_days: int = 400
) -> AsyncIterator[Ledger]:
    ledger = LedgerThread(
        path,
        keep_days=keep_days,
        fsync=False,
        tell=(told if told is not None else []).append,
    )
    async with ledger.running():
        yield ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "below" / "ledger.sqlite"


class TestLedgerThread(LedgerContract):
    @pytest.fixture
    def shared(self, path: Path) -> Shared:
        async def lines(tenant: str | None) -> list[Line]:
            return read_ledger(path, day=DAY, tenant=tenant)

        return Shared(lambda: opened(path), lines)


async def test_it_survives_a_restart(path: Path) -> None:
    async with opened(path) as ledger:
        ledger.settle(await one(ledger), UNIT, estimated=False)
    async with opened(path) as ledger:
        kept = await ledger.reserve(ACME, [UNIT], at_most(1))
        assert kept != []
        assert not isinstance(kept, list)
    assert [each.name for each in path.parent.iterdir()] == ["ledger.sqlite"]


def alive(folder: Path) -> list[Path]:
    return [*folder.glob("*.alive")]


_DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from gateway.tenants.ledger_thread import LedgerThread
from tests.tenants.ledger_contract import one, UNIT

async def main():
    ledger = LedgerThread(Path(sys.argv[1]), keep_days=9, fsync=False, tell=print)
    async with ledger.running():
        ledger.settle(await one(ledger), UNIT, estimated=False)
        await one(ledger)
        await one(ledger)
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_a_killed_process_kept_back_is_settled_with_its_estimate(
    path: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _DIES, str(path)),
        cwd=ROOT,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'protos'}"},
    )
    assert await process.wait() == -9
    (line,) = read_ledger(path, day=DAY, tenant=None)
    assert line.reserved.calls in (2, 3)  # its settlement may not have been written
    async with opened(path) as ledger:
        (line,) = read_ledger(path, day=DAY, tenant=None)
        assert line.spent == UNIT.plus(UNIT).plus(UNIT)
        assert line.reserved == NOTHING
        assert line.estimated in (2, 3)
        assert not isinstance(await ledger.reserve(ACME, [UNIT], at_most(3)), list)
    assert not alive(path.parent)


async def test_what_living_processes_kept_back_stays_kept_back(path: Path) -> None:
    async with opened(path) as ledger:
        kept = await one(ledger)
        async with opened(path):
            (line,) = read_ledger(path, day=DAY, tenant=None)
            assert line.reserved == UNIT
        ledger.settle(kept, UNIT, estimated=False)


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("no database, " * 100)
    with pytest.raises(LedgerUnusable, match="broken: file is not a database"):
        async with opened(broken):
            pass
    with pytest.raises(LedgerUnusable, match="broken"):
        async with opened(broken / "ledger"):
            pass
    newer = tmp_path / "newer"
    connection = sqlite3.connect(newer)
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(LedgerUnusable, match="version 9, not 1"):
        async with opened(newer):
            pass
    with pytest.raises(LedgerUnusable, match="no ledger yet"):
        read_ledger(tmp_path / "none", day=DAY, tenant=None)
    assert not alive(tmp_path)


async def test_old_days_are_forgotten(path: Path) -> None:
    old = Account("2026-11-01", "acme", "cohere")
    async with opened(path, keep_days=9) as ledger:
        ledger.settle(await one(ledger, old), UNIT, estimated=False)
        await one(ledger)
    assert read_ledger(path, day="2026-11-01", tenant=None) == []


async def test_what_cannot_be_written_now_is_written_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.tenants.ledger_lines.PATIENCE_S", 0.01)
    monkeypatch.setattr("gateway.tenants.ledger_file.PATIENCE_S", 0.01)
    told: list[str] = []
    async with opened(path, told) as ledger:
        kept = await one(ledger)
        blocking = sqlite3.connect(path, isolation_level=None)
        blocking.execute("BEGIN IMMEDIATE")
        ledger.settle(kept, UNIT, estimated=False)
        # Nobody is asked whose cost cannot be written down.
        with pytest.raises(LedgerUnusable, match="locked"):
            await one(ledger)
        blocking.execute("ROLLBACK")
        blocking.close()
    assert told
    assert read_ledger(path, day=DAY, tenant=None) == [Line(ACME, UNIT)]
