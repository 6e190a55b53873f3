"""Callers with the service config that clients have, before two gateways of which one goes."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest

from rerank.v1 import execution_pb2, rerank_service_pb2_grpc
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import ROOT, Serving, serving
from tests.e2e.vendor import Exchange, Vendor

pytestmark = pytest.mark.real_time

_CONFIG = (ROOT / "clients" / "service_config.json").read_text()
_PATIENCE_S = 30.0
_AT_ONCE = 40
"""Calls: half of them are at the gateway that goes."""

(_SHAPE,) = SHAPES["tei"]


@dataclass(slots=True, eq=False)
class Judge:
    """The backend of one gateway: whoever is answered by it was at that gateway."""

    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    now: int = 0

    async def __call__(self, exchange: Exchange) -> None:
        self.now += 1
        try:
            await self.may_answer.wait()
            await _SHAPE.scored(place_of)(exchange)
        finally:
            self.now -= 1


@dataclass(frozen=True, slots=True)
class Side:
    """One of the gateways."""

    gateway: Serving
    vendor: Vendor
    judge: Judge


@dataclass(slots=True)
class Scene:
    """Two gateways and a caller of both."""

    sides: tuple[Side, Side]
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub"
    calls: int = 0

    async def rerank(self) -> None:
        self.calls += 1
        # No two alike: otherwise they would be one.
        request = rerank_request(3, query=f"query {self.calls}")
        answer = await self.stub.Rerank(request)
        assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED

    def begin(self) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.rerank()) for _ in range(_AT_ONCE)]

    async def meet(self, count: int) -> Counter[int]:
        """Make calls one after the other, and count which gateway answered."""
        before = [len(side.vendor.received) for side in self.sides]
        for _ in range(count):
            await self.rerank()
        return Counter(
            {
                place: len(side.vendor.received) - before[place]
                for place, side in enumerate(self.sides)
            }
        )


@asynccontextmanager
async def scene() -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        sides = []
        for _ in range(2):
            judge = Judge()
            vendor = await stack.enter_async_context(Vendor(judge, info=_SHAPE.info))
            gateway = await stack.enter_async_context(
                serving(
                    environ={
                        "RERANK_GATEWAY_BACKEND": f"tei+{vendor.url}",
                        "RERANK_GATEWAY__CACHE__MAX_BYTES": "0",
                        "RERANK_GATEWAY__BACKENDS__TEI__MAX_IN_FLIGHT": str(_AT_ONCE),
                        "RERANK_GATEWAY__SERVER__GRACE_S": str(_PATIENCE_S),
                    }
                )
            )
            sides.append(Side(gateway, vendor, judge))
        first, second = sides
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(
                f"ipv4:{first.gateway.address},{second.gateway.address}",
                options=[
                    ("grpc.service_config", _CONFIG),
                    ("grpc.use_local_subchannel_pool", 1),
                ],
            )
        )
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        yield Scene((first, second), stub)


async def _both_are_met(of: Scene) -> None:
    """Call until the caller has a connection to each."""
    for side in of.sides:
        side.judge.may_answer.set()
    async with asyncio.timeout(_PATIENCE_S):
        while min((await of.meet(2)).values(), default=0) == 0:
            pass
    # In turns.
    assert await of.meet(10) == {0: 5, 1: 5}
    for side in of.sides:
        side.judge.may_answer.clear()


async def _all_are_under_way(of: Scene) -> list[asyncio.Task[None]]:
    calls = of.begin()
    for side in of.sides:
        await side.vendor.until(lambda: side.judge.now == _AT_ONCE // 2)  # noqa: B023 - awaited at once
    return calls


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
async def test_no_call_fails_where_one_of_two_gateways_goes(
    how: signal.Signals,
) -> None:
    async with scene() as of:
        await _both_are_met(of)
        calls = await _all_are_under_way(of)
        going, staying = of.sides

        going.gateway.send_signal(how)
        if how is signal.SIGTERM:
            # What it has it finishes; what comes now it does not get.
            await going.gateway.read_until("stopping")
        more = of.begin()
        await staying.vendor.until(lambda: staying.judge.now >= _AT_ONCE)
        for side in of.sides:
            side.judge.may_answer.set()

        async with asyncio.timeout(_PATIENCE_S):
            await asyncio.gather(*calls, *more)
        assert await of.meet(10) == {0: 0, 1: 10}
        ended = await going.gateway.ended()
        assert ended.code == (0 if how is signal.SIGTERM else -how)
