"""Gateways, a shared cache and backends with a network between them that fails.

Answers stay in time and true, and what was lost is used again when it is back.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import grpc
import pytest

from rerank.v1 import (
    execution_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import ROOT, Serving, serving
from tests.e2e.vendor import Vendor
from tests.support.namespaces import CUT, Host, Link, Network, a_network
from tests.support.redis_server import RedisServer

pytestmark = pytest.mark.real_time

_CONFIG = (ROOT / "clients" / "service_config.json").read_text()
_PORT = 50051
_CACHE_S = 0.5
_ATTEMPT_S = 1.0
# Far more than a call takes with everything lost once, and far less than what hangs.
_DEADLINE_S = 5.0
_PATIENCE_S = 60.0
_AGAIN_S = 0.2
_KEEPALIVE_MS = 1000

(_SHAPE,) = SHAPES["tei"]

_FAR = Link(latency_s=0.01, loss=0.01)


@dataclass(slots=True)
class Scene:
    """Everything, each in a place of its own."""

    network: Network
    client: Host
    backend: Host
    cache: Host
    gateways: tuple[Host, Host]
    vendor: Vendor
    channel: grpc.aio.Channel
    """To both gateways, in turns."""
    channels: tuple[grpc.aio.Channel, grpc.aio.Channel]
    """To each of them."""
    numbers: Iterator[int] = field(default_factory=count)

    async def rerank(
        self, channel: grpc.aio.Channel | None = None, query: str = ""
    ) -> rerank_service_pb2.RerankResponse:
        """Ask, and see that the answer is in time and true."""
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel or self.channel)
        request = rerank_request(5, query=query or f"query {next(self.numbers)}")
        answer: rerank_service_pb2.RerankResponse
        answer = await stub.Rerank(request, timeout=_DEADLINE_S)
        reranked = answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
        assert answer.fallback_triggered != reranked
        assert answer.search_method.endswith("+rerank") == reranked
        assert {each.id for each in answer.results} == {
            each.id for each in request.documents
        }
        for each in answer.results:
            right = place_of(request.documents[each.index].text)
            assert each.HasField("raw_score") == reranked
            assert not reranked or each.raw_score == right
        return answer

    async def until_reranked(self, channel: grpc.aio.Channel) -> None:
        """Ask until a backend answers again."""

        async def reranked() -> bool:
            return not (await self.rerank(channel)).fallback_triggered

        await _until(reranked)

    async def is_shared(self) -> bool:
        """Tell whether one gateway remembers what the other one was told."""
        query = f"query {next(self.numbers)}"
        first, second = self.channels
        assert not (await self.rerank(first, query)).fallback_triggered
        # It is written after the answer.
        for _ in range(10):
            answer = await self.rerank(second, query)
            if answer.execution.cached_count:
                # By itself it would remember what it has been told, too.
                return bool(answer.execution.cached_count == len(answer.results))
            query = f"query {next(self.numbers)}"
            await self.rerank(first, query)
            await asyncio.sleep(_AGAIN_S)
        return False


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            if await condition():
                return
            await asyncio.sleep(_AGAIN_S)


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as parts:
        network = parts.enter_context(a_network())
        client, backend, cache = network.here(), network.here(), network.host()
        gateways = (network.host(), network.host())
        vendor = await parts.enter_async_context(
            Vendor(_SHAPE.scored(place_of), info=_SHAPE.info, host=backend.address)
        )
        redis = RedisServer(folder, host=cache.address, inside=cache.inside)
        await asyncio.to_thread(redis.start)
        parts.callback(redis.kill)
        await asyncio.gather(
            *(
                parts.enter_async_context(_gateway(host, vendor, redis))
                for host in gateways
            )
        )
        addresses = [f"{host.address}:{_PORT}" for host in gateways]
        channel, *channels = [
            await parts.enter_async_context(_channel(f"ipv4:{each}"))
            for each in (",".join(addresses), *addresses)
        ]
        one, other = channels
        yield Scene(
            network,
            client,
            backend,
            cache,
            gateways,
            vendor,
            channel,
            (one, other),
        )


@asynccontextmanager
async def _gateway(
    host: Host, vendor: Vendor, redis: RedisServer
) -> AsyncIterator[Serving]:
    backend = "RERANK_GATEWAY__BACKENDS__TEI"
    async with serving(
        *("--address", f"{host.address}:{_PORT}"),
        environ={
            "RERANK_GATEWAY_BACKEND": f"tei+{vendor.url}",
            f"{backend}__TIMEOUT_S": str(_ATTEMPT_S),
            f"{backend}__COOLDOWN_S": "0.5",
            "RERANK_GATEWAY__CACHE__URL": redis.url,
            "RERANK_GATEWAY__CACHE__KEY_ENV": "SHARED_KEY",
            "RERANK_GATEWAY__CACHE__TIMEOUT_S": str(_CACHE_S),
            # What it remembers by itself is of no interest here.
            "RERANK_GATEWAY__CACHE__MAX_BYTES": "0",
            "RERANK_GATEWAY__CACHE__MAX_ANSWER_BYTES": "0",
            "RERANK_GATEWAY__SERVER__MIN_PING_INTERVAL_S": "0.5",
            "RERANK_GATEWAY__SERVER__MAX_LAG_S": "60",
            "RERANK_GATEWAY__SERVER__ALLOW_ANONYMOUS": "true",
            "RERANK_GATEWAY__LOGS__CALLS": "none",
            "SHARED_KEY": "a-secret-that-both-have",
        },
        inside=host.inside,
    ) as server:
        yield server


def _channel(target: str) -> grpc.aio.Channel:
    # As docs/service-config.md wants it, but for shorter times.
    return grpc.aio.insecure_channel(
        target,
        options=[
            ("grpc.service_config", _CONFIG),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", _KEEPALIVE_MS),
            ("grpc.http2.ping_timeout_ms", _KEEPALIVE_MS),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.max_pings_without_data", 0),
        ],
    )


async def test_what_is_far_away_and_loses_packets_answers_in_time(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as of:
        of.network.everywhere(_FAR)
        answers = [
            each
            for _ in range(10)
            for each in await asyncio.gather(*(of.rerank() for _ in range(10)))
        ]
        # A lost packet comes again after 0.2 s: few calls need more than an attempt has.
        assert sum(each.fallback_triggered for each in answers) <= 5
        assert await of.is_shared()


async def test_a_gateway_that_loses_its_backend_says_so_and_finds_it_again(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as of:
        alone, other = of.channels
        await of.rerank(alone)
        of.network.between(of.gateways[0], of.backend, CUT)
        first = await of.rerank(alone)
        assert first.execution.fallback_reason == execution_pb2.FALLBACK_REASON_TIMEOUT
        assert not (await of.rerank(other)).fallback_triggered
        reasons = {(await of.rerank(alone)).execution.fallback_reason for _ in range(8)}
        # Nobody waits any more for what does not answer.
        assert execution_pb2.FALLBACK_REASON_CIRCUIT_OPEN in reasons
        of.network.between(of.gateways[0], of.backend, Link())
        await of.until_reranked(alone)


async def test_a_shared_cache_that_is_cut_off_costs_no_answer_and_comes_back(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as of:
        assert await of.is_shared()
        for gateway in of.gateways:
            of.network.between(gateway, of.cache, CUT)
        loop = asyncio.get_running_loop()
        for _ in range(5):
            began = loop.time()
            assert not (await of.rerank()).fallback_triggered
            assert loop.time() - began < _DEADLINE_S / 2
        assert not await of.is_shared()
        for gateway in of.gateways:
            of.network.between(gateway, of.cache, Link())
        await _until(of.is_shared)


async def test_callers_that_are_cut_off_from_one_gateway_use_the_other(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as of:
        await asyncio.gather(*(of.rerank() for _ in range(10)))
        of.network.between(of.client, of.gateways[0], CUT)
        # None fails: those that were sent there are sent again, when nobody answers pings.
        await asyncio.gather(*(of.rerank() for _ in range(10)))
        of.network.between(of.client, of.gateways[0], Link())
        await of.until_reranked(of.channels[0])


async def test_a_partition_between_the_gateways_and_all_else_heals(
    tmp_path: Path,
) -> None:
    async with scene(tmp_path) as of:
        assert await of.is_shared()
        for gateway in of.gateways:
            of.network.between(gateway, of.backend, CUT)
            of.network.between(gateway, of.cache, CUT)
        answers = await asyncio.gather(*(of.rerank() for _ in range(10)))
        assert all(each.fallback_triggered for each in answers)
        for gateway in of.gateways:
            of.network.between(gateway, of.backend, _FAR)
            of.network.between(gateway, of.cache, _FAR)
        for channel in of.channels:
            await of.until_reranked(channel)
        await _until(of.is_shared)
