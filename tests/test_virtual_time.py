"""The clock that all other tests trust."""

import asyncio
import time

import pytest

from tests.support.clock import NobodyWillWakeUsError, VirtualLoop


async def test_an_hour_costs_nothing() -> None:
    began, began_here = asyncio.get_running_loop().time(), time.monotonic()
    await asyncio.sleep(3600)
    assert asyncio.get_running_loop().time() - began == pytest.approx(3600)
    assert time.monotonic() - began_here < 1


async def test_timers_fire_in_their_order() -> None:
    woken: list[float] = []

    async def sleeper(seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append(seconds)

    await asyncio.gather(sleeper(0.3), sleeper(0.1), sleeper(0.2))
    assert woken == [0.1, 0.2, 0.3]


def test_a_deadlock_is_told_at_once() -> None:
    loop = VirtualLoop()
    waiting = loop.create_task(asyncio.Event().wait())
    with pytest.raises(NobodyWillWakeUsError, match="deadlock"):
        loop.run_until_complete(waiting)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(waiting)
    loop.close()


@pytest.mark.real_time
async def test_a_test_may_ask_for_the_real_clock() -> None:
    assert not isinstance(asyncio.get_running_loop(), VirtualLoop)
