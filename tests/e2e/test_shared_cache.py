"""Two gateways that share what they remember, over a real Redis."""

from pathlib import Path
from typing import Any

import pytest

from gateway.logs import EventLog
from rerank.v1 import options_pb2
from tests.e2e.running import place_of, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor
from tests.support.redis_server import a_redis

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["llamacpp"]
_ENVIRON = {"SHARED_KEY": "a-secret-that-all-gateways-share"}
_PLAY = _SHAPE.scored(lambda text: float(place_of(text)))


def _settings(vendor: Vendor, redis_url: str) -> dict[str, Any]:
    backend = {"dialect": "llamacpp", "url": vendor.url, **_SHAPE.settings}
    return {
        # A loaded machine may need longer than the 5 ms of the default.
        "cache": {
            "url": redis_url,
            "key_env": "SHARED_KEY",
            "max_bytes": 0,
            "timeout_s": 2,
        },
        "backends": {"played": backend},
        "routes": {"default": {"backends": ["played"]}},
    }


async def test_a_second_gateway_answers_from_the_work_of_the_first(
    tmp_path: Path,
) -> None:
    with a_redis(tmp_path) as redis:
        async with Vendor(_PLAY) as vendor:
            settings = _settings(vendor, redis.url)
            async with running(settings, environ=_ENVIRON, emit=EventLog()) as first:
                fresh = await first.stub.Rerank(rerank_request(5))
            asked = len(vendor.received)
            async with running(settings, environ=_ENVIRON, emit=EventLog()) as second:
                known = await second.stub.Rerank(rerank_request(5))
                assert known.execution.cached_count == 5
                assert not known.execution.attempts
                assert len(vendor.received) == asked
                assert [each.index for each in known.results] == [
                    each.index for each in fresh.results
                ]
                for mode in (
                    options_pb2.CACHE_MODE_BYPASS,
                    options_pb2.CACHE_MODE_REFRESH,
                ):
                    asked = len(vendor.received)
                    cache = options_pb2.CacheOptions(mode=mode)
                    again = await second.stub.Rerank(rerank_request(5, cache=cache))
                    assert again.execution.cached_count == 0
                    assert len(vendor.received) == asked + 1
