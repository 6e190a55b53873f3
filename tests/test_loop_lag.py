"""How late the event loop comes to what is due."""

import asyncio

import pytest

from gateway.concurrency import in_the_background
from gateway.loop_lag import LoopLag
from tests.support.clock import VirtualLoop
from tests.support.scorers import now


def work(seconds: float) -> None:
    """Hold the loop up for so long."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    loop.jump(seconds)


async def test_a_loop_with_nothing_to_do_is_never_late() -> None:
    lag = LoopLag()
    async with in_the_background(lag.watch()):
        for _ in range(20):
            await asyncio.sleep(0.07)
            assert lag.seconds(now()) == pytest.approx(0, abs=1e-9)


async def test_a_loop_is_late_already_before_the_alarm_has_rung() -> None:
    lag = LoopLag()
    async with in_the_background(lag.watch()):
        await asyncio.sleep(0)
        work(2.0)
        assert lag.seconds(now()) == pytest.approx(1.9)


async def test_a_late_alarm_is_remembered_until_one_is_in_time() -> None:
    lag = LoopLag()
    async with in_the_background(lag.watch()):
        await asyncio.sleep(0)
        work(2.0)
        await asyncio.sleep(0.01)
        assert lag.seconds(now()) == pytest.approx(1.9)
        await asyncio.sleep(0.1)
        assert lag.seconds(now()) == pytest.approx(0, abs=1e-9)


async def test_a_loop_that_is_not_watched_has_no_lag() -> None:
    lag = LoopLag()
    assert lag.seconds(now()) == 0
    async with in_the_background(lag.watch()):
        await asyncio.sleep(0)
        work(2.0)
    work(9.0)
    assert lag.seconds(now()) == 0
