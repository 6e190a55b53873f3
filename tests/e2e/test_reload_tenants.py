"""Other limits and prices of tenants while they call, under one ledger."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.events import ReloadOutcome
from gateway.tenants.ledger import Calendar, Line
from gateway.tenants.ledger_lines import read_ledger
from rerank.v1 import execution_pb2
from tests.e2e.reloading import Scene, backend, configuration, scene
from tests.e2e.running import place_of
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Vendor

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PLAY = _SHAPE.scored(place_of)


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY, info=_SHAPE.info) as playing:
        yield playing


def _configured(
    folder: Path, vendor: Vendor, limits: Mapping[str, Any] | None, *, price: int = 1
) -> dict[str, Any]:
    """Configure one backend that is never remembered, and the limits of whoever calls."""
    priced = backend(vendor.url, price={"per_1000_calls": price})
    return configuration(
        {"one": priced},
        tenants={} if limits is None else {"anonymous": limits},
        ledger={"path": str(folder / "ledger.sqlite")},
        cache={"max_bytes": 0, "max_answer_bytes": 0},
    )


def _line(folder: Path) -> Line:
    today = Calendar().today()
    (line,) = read_ledger(folder / "ledger.sqlite", day=today, tenant="")
    return line


async def _is_refused(of: Scene) -> bool:
    reason = (await of.rerank()).execution.fallback_reason
    return reason == execution_pb2.FALLBACK_REASON_RATE_LIMITED


async def test_limits_are_others_at_once_and_the_day_goes_on(
    tmp_path: Path, vendor: Vendor
) -> None:
    two = {"daily": {"one": {"calls": 2}}}
    async with scene(_configured(tmp_path, vendor, two)) as of:
        assert [await _is_refused(of) for _ in range(3)] == [False, False, True]
        three = {"daily": {"one": {"calls": 3}}}
        told = await of.reload(_configured(tmp_path, vendor, three))
        assert (told.outcome, told.waiting) == (ReloadOutcome.APPLIED, ())
        assert [await _is_refused(of) for _ in range(2)] == [False, True]
        await of.reload(_configured(tmp_path, vendor, {}))
        assert not await _is_refused(of)
        await of.reload(_configured(tmp_path, vendor, two))
        assert await _is_refused(of)
    assert _line(tmp_path).spent.calls == 4


async def test_a_rate_that_is_the_same_is_used_up_as_far_as_it_was(
    tmp_path: Path, vendor: Vendor
) -> None:
    slow = {"requests_per_s": 0.001, "requests_burst": 1}
    async with scene(_configured(tmp_path, vendor, slow)) as of:
        assert not await _is_refused(of)
        more = {**slow, "max_concurrent_calls": 5}
        await of.reload(_configured(tmp_path, vendor, more))
        assert await _is_refused(of)
        await of.reload(_configured(tmp_path, vendor, {**slow, "requests_burst": 2}))
        assert not await _is_refused(of)


async def test_calls_under_way_count_and_pay_what_they_began_with(
    tmp_path: Path, vendor: Vendor
) -> None:
    may_answer = asyncio.Event()

    async def held(exchange: Exchange) -> None:
        await may_answer.wait()
        await _PLAY(exchange)

    vendor.play = held
    one, two = {"max_concurrent_calls": 1}, {"max_concurrent_calls": 2}
    async with scene(_configured(tmp_path, vendor, two, price=1)) as of:
        under_way = asyncio.create_task(of.rerank())
        await vendor.until(lambda: bool(vendor.received))
        await of.reload(_configured(tmp_path, vendor, one, price=5))
        assert await _is_refused(of)
        may_answer.set()
        assert not (await under_way).fallback_triggered
        assert not await _is_refused(of)
    # In billionths: a thousandth of each price.
    assert _line(tmp_path).spent.cost == 6_000_000


async def test_the_first_tenants_wait_for_the_next_start(
    tmp_path: Path, vendor: Vendor
) -> None:
    async with scene(_configured(tmp_path, vendor, None)) as of:
        none = {"requests_per_s": 0.001, "requests_burst": 1}
        told = await of.reload(_configured(tmp_path, vendor, none))
        assert told.waiting == ("tenants",)
        assert [await _is_refused(of) for _ in range(3)] == [False] * 3
    assert not (tmp_path / "ledger.sqlite").exists()
