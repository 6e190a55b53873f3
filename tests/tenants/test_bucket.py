"""So many a second, and some at once."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tenants.bucket import Bucket


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_a_full_bucket_lets_its_burst_through_and_then_its_pace() -> None:
    bucket = Bucket(per_s=10, burst=5)
    for _ in range(5):
        assert bucket.wait_s(1, now()) == 0
        bucket.take(1, now())
    assert bucket.wait_s(1, now()) == pytest.approx(0.1)
    await asyncio.sleep(0.1)
    assert bucket.wait_s(1, now()) == pytest.approx(0)


async def test_it_holds_no_more_than_its_burst_however_long_nobody_comes() -> None:
    bucket = Bucket(per_s=10, burst=5)
    bucket.take(5, now())
    await asyncio.sleep(3600)
    assert bucket.is_full(now())
    bucket.take(5, now())
    assert bucket.wait_s(1, now()) > 0


async def test_what_is_larger_than_the_bucket_waits_for_a_full_one_and_is_paid_off() -> (
    None
):
    bucket = Bucket(per_s=10, burst=5)
    bucket.take(1, now())
    assert bucket.wait_s(50, now()) == pytest.approx(0.1)
    await asyncio.sleep(0.2)
    assert bucket.wait_s(50, now()) == 0
    bucket.take(50, now())
    assert bucket.wait_s(1, now()) == pytest.approx(4.6)


async def test_a_clock_that_stands_still_fills_nothing() -> None:
    bucket = Bucket(per_s=10, burst=1)
    bucket.take(1, 1000.0)
    assert bucket.wait_s(1, 999.0) == pytest.approx(0.1)


@given(
    st.floats(0.1, 1000),
    st.floats(1, 100),
    st.lists(st.tuples(st.floats(0, 10), st.floats(0.1, 10)), max_size=60),
)
def test_never_more_goes_through_than_burst_and_pace_allow(
    per_s: float, burst: float, comings: list[tuple[float, float]]
) -> None:
    bucket = Bucket(per_s=per_s, burst=burst)
    at, through = 0.0, 0.0
    for pause_s, amount in comings:
        at += pause_s
        wait_s = bucket.wait_s(min(amount, burst), at)
        if wait_s == 0:
            bucket.take(min(amount, burst), at)
            through += min(amount, burst)
        else:
            # Who waits as long as it is told is let through.
            assert bucket.wait_s(min(amount, burst), at + wait_s) < 1e-6
    assert through <= burst + per_s * at + 1e-6
