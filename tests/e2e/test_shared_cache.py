"""Gateways that share what they remember, over a real Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from gateway.logs import EventLog
from gateway.settings import SettingsError
from rerank.v1 import execution_pb2, options_pb2, rerank_service_pb2
from tests.e2e.running import QUERY, Running, place_of, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor
from tests.support.redis_server import RedisServer, a_redis

pytestmark = pytest.mark.real_time

_BYPASS = options_pb2.CACHE_MODE_BYPASS
_REFRESH = options_pb2.CACHE_MODE_REFRESH

(_SHAPE,) = SHAPES["llamacpp"]
_PLAY = _SHAPE.scored(lambda text: float(place_of(text)))
_RAW = [4.0, 3.0, 2.0, 1.0, 0.0]
# What the same model says later: other numbers, and the opposite order.
_LATER_PLAY = _SHAPE.scored(lambda text: 10.0 - place_of(text))
_LATER_RAW = [10.0, 9.0, 8.0, 7.0, 6.0]

_SECRET = "a-secret-that-all-gateways-share"
_MIB = 1024 * 1024
_PATIENCE_S = 20.0

# Whoever makes the calls may also remember in its process, as it does unless told not to.
both_tiers_or_one = pytest.mark.parametrize("max_bytes", [64 * _MIB, 0])


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with a_redis(tmp_path) as started:
        yield started


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY) as vendor:
        yield vendor


def _running(
    vendor: Vendor,
    redis: RedisServer,
    *,
    secret: str = _SECRET,
    max_bytes: int = 0,
    **routes: dict[str, Any],
) -> AbstractAsyncContextManager[Running]:
    backend = {"dialect": "llamacpp", "url": vendor.url, **_SHAPE.settings}
    settings = {
        "cache": {
            "url": redis.url,
            "key_env": "SHARED_KEY",
            "max_bytes": max_bytes,
            # A loaded machine may need longer than the 5 ms of the default.
            "timeout_s": 2,
        },
        "backends": {"played": backend},
        "routes": {
            name: {"backends": ["played"], **route}
            for name, route in {"default": {}, **routes}.items()
        },
    }
    environ = {"SHARED_KEY": secret} if secret else {}
    return running(settings, environ=environ, emit=EventLog())


async def _ask(
    gateway: Running,
    *,
    count: int = 5,
    query: str = QUERY,
    mode: options_pb2.CacheMode.ValueType = options_pb2.CACHE_MODE_UNSPECIFIED,
    ttl_s: int = 0,
    route: str = "",
) -> rerank_service_pb2.RerankResponse:
    cache = options_pb2.CacheOptions(mode=mode)
    if ttl_s:
        cache.ttl.FromSeconds(ttl_s)
    request = rerank_request(count, query=query, cache=cache, route=route)
    answer = await gateway.stub.Rerank(request, timeout=_PATIENCE_S)
    assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert answer.execution.scored_count == count
    # Where a score comes from changes nothing of what is said about the answer.
    assert answer.search_method == "rrf_hybrid+rerank"
    assert answer.execution.backend == "played"
    return answer


def _raw(answer: rerank_service_pb2.RerankResponse) -> list[float]:
    return [each.raw_score for each in answer.results]


def _is_remembered(answer: rerank_service_pb2.RerankResponse) -> bool:
    """Tell whether all of it came from memory; none of it if not."""
    cached, attempts = answer.execution.cached_count, len(answer.execution.attempts)
    assert (cached, attempts) in [(len(answer.results), 0), (0, 1)]
    return not attempts


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - only looking tells
            await asyncio.sleep(0.01)


async def _stored(redis: RedisServer, scores: int) -> None:
    """Wait for what is written after its answer: all scores, and who gave them."""
    await _until(lambda: len(redis.keys()) == scores + 1)


async def test_a_second_gateway_answers_from_the_work_of_the_first(
    vendor: Vendor, redis: RedisServer
) -> None:
    async with _running(vendor, redis) as first:
        fresh = await _ask(first)
    async with _running(vendor, redis) as second:
        known = await _ask(second)
    assert not _is_remembered(fresh)
    assert _is_remembered(known)
    assert len(vendor.received) == 1
    assert known.results == fresh.results
    assert _raw(known) == _RAW
    assert known.execution.model == fresh.execution.model


async def test_side_by_side_each_answers_from_the_work_of_the_other(
    vendor: Vendor, redis: RedisServer
) -> None:
    async with (
        _running(vendor, redis, max_bytes=64 * _MIB) as one,
        _running(vendor, redis, max_bytes=64 * _MIB) as other,
    ):
        await _ask(one)
        await _stored(redis, 5)
        assert _is_remembered(await _ask(other))
        assert len(vendor.received) == 1

        more = await _ask(other, count=8)
        assert more.execution.cached_count == 5
        assert [place_of(text) for text in _SHAPE.texts(vendor.received[1])] == [
            *(5, 6, 7)
        ]
        await _stored(redis, 8)
        # Five of them from its own process.
        known = await _ask(one, count=8)
        assert _is_remembered(known)
        assert len(vendor.received) == 2
        assert known.results == more.results


# What a call or its route wants of the memory


@both_tiers_or_one
async def test_a_call_that_bypasses_the_memory_leaves_nothing_there(
    vendor: Vendor, redis: RedisServer, max_bytes: int
) -> None:
    async with _running(vendor, redis, max_bytes=max_bytes) as gateway:
        for _ in range(2):
            assert not _is_remembered(await _ask(gateway, mode=_BYPASS))
    # With its end, whatever was to be written has been.
    assert redis.keys() == []


@both_tiers_or_one
async def test_a_call_that_bypasses_the_memory_reads_and_replaces_nothing(
    vendor: Vendor, redis: RedisServer, max_bytes: int
) -> None:
    async with _running(vendor, redis, max_bytes=max_bytes) as gateway:
        await _ask(gateway)
        await _stored(redis, 5)
        vendor.play = _LATER_PLAY
        bypassed = await _ask(gateway, mode=_BYPASS)
        assert not _is_remembered(bypassed)
        assert _raw(bypassed) == _LATER_RAW
        assert _raw(await _ask(gateway)) == _RAW
    async with _running(vendor, redis) as other:
        known = await _ask(other)
    assert _is_remembered(known)
    assert _raw(known) == _RAW
    assert len(vendor.received) == 2


@both_tiers_or_one
async def test_a_call_that_refreshes_the_memory_does_so_for_all_gateways(
    vendor: Vendor, redis: RedisServer, max_bytes: int
) -> None:
    async with _running(vendor, redis) as other:
        async with _running(vendor, redis, max_bytes=max_bytes) as gateway:
            await _ask(gateway)
            await _stored(redis, 5)
            assert _raw(await _ask(other)) == _RAW
            vendor.play = _LATER_PLAY
            refreshed = await _ask(gateway, mode=_REFRESH)
            assert not _is_remembered(refreshed)
            assert _raw(refreshed) == _LATER_RAW
            if max_bytes:
                # Where its own process remembers, it need not wait for the write.
                assert (await _ask(gateway)).results == refreshed.results
            # Its last writes are made before it ends.
        known = await _ask(other)
    assert _is_remembered(known)
    assert known.results == refreshed.results
    assert len(vendor.received) == 2


async def test_a_route_says_how_old_a_score_may_be_that_another_gateway_stored(
    vendor: Vendor, redis: RedisServer
) -> None:
    young_s = 1.0
    now = asyncio.get_running_loop().time
    async with _running(vendor, redis) as one:
        async with _running(vendor, redis, young={"cache_ttl_s": young_s}) as other:
            for attempt in range(1, 20):
                query = f"question {attempt}"
                began = now()
                await _ask(one, query=query)
                stored_at = now()
                await _stored(redis, 5 * attempt)
                known = await _ask(other, query=query, route="young")
                # A busy machine may have let it grow old meanwhile.
                if now() - began < young_s:
                    break
            assert _is_remembered(known)

            # What two processes make of one clock may differ a little.
            await asyncio.sleep(stored_at + young_s + 0.2 - now())
            vendor.play = _LATER_PLAY
            assert _raw(await _ask(other, query=query)) == _RAW
            assert _raw(await _ask(other, query=query, route="young", ttl_s=60)) == _RAW
            asked = len(vendor.received)
            anew = await _ask(other, query=query, route="young")
            assert not _is_remembered(anew)
            assert _raw(anew) == _LATER_RAW
            assert len(vendor.received) == asked + 1
            # Its last writes are made before it ends.
        known = await _ask(one, query=query)
    assert _is_remembered(known)
    assert _raw(known) == _LATER_RAW


async def test_a_score_is_kept_as_long_as_a_route_wants_it(
    vendor: Vendor, redis: RedisServer
) -> None:
    async with _running(vendor, redis, patient={"cache_ttl_s": 3600}) as gateway:
        await _ask(gateway, route="patient")
        await _stored(redis, 5)
        left_s = [int(redis.tell(b"PTTL", key)[1:]) / 1000 for key in redis.keys()]  # noqa: SIM118
    # Up to a tenth less, and not the five minutes of the other routes.
    assert min(left_s) > 3600 * 0.9 - _PATIENCE_S
    # All but the one that says who gave the scores.
    assert sum(left <= 3600 for left in left_s) == 5


# The secret that gateways have in common, or have not


async def test_with_another_secret_nothing_is_shared(
    vendor: Vendor, redis: RedisServer
) -> None:
    async with (
        _running(vendor, redis) as one,
        _running(vendor, redis, secret="a-secret-of-somebody-else-entirely") as other,
    ):
        await _ask(one)
        await _stored(redis, 5)
        vendor.play = _LATER_PLAY
        assert not _is_remembered(await _ask(other))
        await _until(lambda: len(redis.keys()) == 2 * (5 + 1))
        # Nor does one of them replace what the other remembers.
        assert _raw(await _ask(one)) == _RAW
        assert _raw(await _ask(other)) == _LATER_RAW
    assert len(vendor.received) == 2


async def test_without_the_secret_it_is_said_what_is_missing_and_nothing_is_shared(
    vendor: Vendor, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        async with _running(vendor, redis, secret="", max_bytes=64 * _MIB) as gateway:
            assert not _is_remembered(await _ask(gateway))
            # Its process remembers all the same.
            assert _is_remembered(await _ask(gateway))
    assert redis.keys() == []
    (said,) = [each.getMessage() for each in caplog.records if "shared" in each.message]
    assert said == (
        "the shared memory of scores is not used: "
        "environment variable SHARED_KEY is not set"
    )


async def test_a_shared_memory_without_the_name_of_its_secret_is_no_configuration() -> (
    None
):
    with pytest.raises(SettingsError, match=r"cache\.key_env: is required with"):
        async with running({"cache": {"url": "redis://127.0.0.1:1/0"}}):
            pass
