"""Gateways under load whose shared Redis is killed, frozen, or late to come."""

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from hashlib import blake2b
from itertools import count
from pathlib import Path
from random import Random

import pytest

from gateway.events import Emit, Event, SharedCacheFailed
from gateway.layers import redis_memory
from gateway.logs import EventLog
from rerank.v1 import document_pb2, execution_pb2, rerank_service_pb2
from tests.e2e.running import Running, running
from tests.e2e.shapes import SHAPES, normalised
from tests.e2e.vendor import Exchange, Vendor, reply
from tests.support.redis_server import RedisServer, a_redis

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["llamacpp"]
_ENVIRON = {"SHARED_KEY": "a-secret-that-all-gateways-share"}

# How long a call waits for the memory: more than a busy machine needs for most of them.
_BUDGET_S = 0.2
# Far more than a call takes, and far less than what hangs.
_DEADLINE_S = 5.0
_PATIENCE_S = 20.0

_CALLERS = 6
_QUERIES = 40
_TEXTS = 30
_FEW = ["one", "two", "three"]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with a_redis(tmp_path) as started:
        yield started


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async def play(exchange: Exchange) -> None:
        query = exchange.received.json["query"]
        body = _SHAPE.body(exchange.received, lambda text: _raw_score(query, text))
        await reply(200, body)(exchange)

    async with Vendor(play) as vendor:
        yield vendor


def _raw_score(query: str, text: str) -> float:
    """Say what the model makes of a pair: something else of every pair."""
    digest = blake2b(f"{query}\n{text}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**63 - 1


def _running(
    vendor: Vendor, redis: RedisServer, emit: Emit
) -> AbstractAsyncContextManager[Running]:
    settings = {
        "cache": {
            "url": redis.url,
            "key_env": "SHARED_KEY",
            # Whatever is remembered is remembered in Redis.
            "max_bytes": 0,
            "timeout_s": _BUDGET_S,
        },
        "backends": {
            "played": {"dialect": "llamacpp", "url": vendor.url, **_SHAPE.settings}
        },
        "routes": {"default": {"backends": ["played"]}},
    }
    return running(settings, environ=_ENVIRON, emit=emit)


async def _ask(gateway: Running, query: str, texts: list[str]) -> int:
    """Make a call, see that its answer is right, and tell how much was remembered."""
    request = rerank_service_pb2.RerankRequest(
        query=query,
        search_method="vector",
        documents=[document_pb2.Document(id=text, text=text) for text in texts],
    )
    answer = await gateway.stub.Rerank(request, timeout=_DEADLINE_S)
    execution = answer.execution
    assert execution.outcome == execution_pb2.OUTCOME_RERANKED
    assert answer.search_method == "vector+rerank"
    assert {each.search_method for each in answer.results} == {"vector+rerank"}
    assert not any(each.failure_reason for each in execution.attempts)
    assert execution.scored_count == len(texts)
    assert bool(execution.attempts) == (execution.cached_count < len(texts))

    best_first = sorted(texts, key=lambda text: -_raw_score(query, text))
    assert [each.id for each in answer.results] == best_first
    for each in answer.results:
        raw = _raw_score(query, each.id)
        assert each.index == texts.index(each.id)
        assert each.raw_score == raw
        assert math.isclose(each.rerank_score, normalised(raw, _SHAPE))
    return execution.cached_count


class _Load:
    """Calls upon several gateways, of which every one must be answered well.

    What they ask overlaps, so that answers are made of remembered and fresh scores.
    """

    def __init__(self, gateways: list[Running]) -> None:
        self.answered = 0
        self.cached = 0
        self._gateways = gateways
        self._chance = Random(11)
        self._new = count()
        self._over = False

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as callers:
            for _ in range(_CALLERS):
                callers.create_task(self._call())
            try:
                yield
            finally:
                self._over = True

    async def _call(self) -> None:
        chance = self._chance
        while not self._over:
            query = f"question {chance.randrange(_QUERIES)}"
            texts = [f"text {place}" for place in chance.sample(range(_TEXTS), 8)]
            self.cached += await _ask(chance.choice(self._gateways), query, texts)
            self.answered += 1

    async def answers(self, more: int) -> None:
        """Wait for that many further answers."""
        enough = self.answered + more
        await _until(lambda: self.answered >= enough)

    async def shares(self) -> None:
        """Wait until a gateway knows what only another one can have told.

        Nobody has asked for it before, so no gateway remembers it for itself.
        """
        one, other = self._gateways
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                query = f"new question {next(self._new)}"
                assert await _ask(one, query, _FEW) == 0
                # Asked once: then it would know the answer from its own call.
                if await _ask(other, query, _FEW) == len(_FEW):
                    return
                await asyncio.sleep(0.02)

    async def remembers_nothing(self) -> None:
        """See that nothing is remembered, not even by whoever has just asked."""
        for gateway in self._gateways:
            query = f"new question {next(self._new)}"
            for _ in range(2):
                assert await _ask(gateway, query, _FEW) == 0


@asynccontextmanager
async def _load(
    vendor: Vendor, redis: RedisServer, told: list[list[Event]]
) -> AsyncIterator[_Load]:
    """Run two gateways, and call them."""
    async with (
        _running(vendor, redis, told[0].append) as one,
        _running(vendor, redis, told[1].append) as other,
    ):
        load = _Load([one, other])
        async with load.going_on():
            yield load


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - only looking tells
            await asyncio.sleep(0.01)


def _failures(told: list[list[Event]]) -> int:
    return sum(isinstance(event, SharedCacheFailed) for each in told for event in each)


async def _all_told(told: list[list[Event]], words: str) -> None:
    """Wait until each gateway has met a failure."""
    await _until(
        lambda: all(
            any(isinstance(e, SharedCacheFailed) and words in e.detail for e in each)
            for each in told
        )
    )


async def test_no_call_fails_while_redis_is_killed_and_hits_return_with_it(
    vendor: Vendor, redis: RedisServer
) -> None:
    told: list[list[Event]] = [[], []]
    async with _load(vendor, redis, told) as load:
        await load.shares()
        for _ in range(2):
            await load.answers(50)
            assert load.cached
            for each in told:
                each.clear()
            redis.kill()
            await _all_told(told, "ConnectionError")
            await load.remembers_nothing()
            await load.answers(50)
            redis.start()
            await load.shares()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        pytest.param(RedisServer.kill, "ConnectionError", id="killed"),
        pytest.param(RedisServer.freeze, "TimeoutError", id="frozen"),
    ],
)
async def test_a_start_without_redis_is_a_warning_and_a_gateway_that_works(
    vendor: Vendor,
    redis: RedisServer,
    caplog: pytest.LogCaptureFixture,
    end: Callable[[RedisServer], None],
    why: str,
) -> None:
    end(redis)
    said = f"shared memory of scores: {why} [UNAVAILABLE]"
    async with (
        asyncio.timeout(_DEADLINE_S),
        _running(vendor, redis, EventLog()) as gateway,
    ):
        # Nobody has called yet.
        assert ("gateway", logging.WARNING, said) in caplog.record_tuples
        for _ in range(2):
            assert await _ask(gateway, "a question", _FEW) == 0


async def test_no_call_fails_while_redis_is_not_there_yet(
    vendor: Vendor, redis: RedisServer
) -> None:
    redis.kill()
    told: list[list[Event]] = [[], []]
    async with _load(vendor, redis, told) as load:
        await load.remembers_nothing()
        await load.answers(50)
        assert load.cached == 0
        redis.start()
        await load.shares()


async def test_no_call_fails_while_redis_is_frozen_until_its_connections_are_given_up(
    vendor: Vendor, redis: RedisServer
) -> None:
    told: list[list[Event]] = [[], []]
    async with _load(vendor, redis, told) as load:
        await load.shares()
        with _frozen(redis):
            await _all_told(told, "TimeoutError")
            await load.remembers_nothing()
            await load.answers(50)
        await load.shares()


async def test_it_is_the_budget_that_ends_the_wait_for_a_frozen_redis(
    vendor: Vendor, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No connection is given up before the deadline of a call that waited for it.
    monkeypatch.setattr(redis_memory, "_PATIENCE_S", 12 * _DEADLINE_S)
    told: list[list[Event]] = [[], []]
    async with _load(vendor, redis, told) as load:
        await load.shares()
        with _frozen(redis):
            await _all_told(told, "no answer in 200 ms")
            await load.remembers_nothing()
            before = _failures(told)
            await load.answers(200)
            # Few of them waited at all.
            assert _failures(told) - before < 50
        await load.shares()


@contextmanager
def _frozen(redis: RedisServer) -> Iterator[None]:
    redis.freeze()
    try:
        yield
    finally:
        redis.thaw()
