"""Two gateways behind callers that do as documented, and one of them is killed, in turns."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

import grpc

from rerank.v1 import execution_pb2, rerank_service_pb2_grpc
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import ROOT, serving
from tests.e2e.vendor import Vendor

_CONFIG = (ROOT / "clients" / "service_config.json").read_text()
_NAMES = ("one", "two")
_CALLERS = 8
_TIMEOUT_S = 20.0
_MET = 20
"""Answers of a gateway, until it counts as found by the callers."""
_PATIENCE_S = 60.0

(_SHAPE,) = SHAPES["tei"]


@dataclass(slots=True)
class Seen:
    """What the callers saw."""

    answers: Counter[str] = field(default_factory=Counter)
    """By the gateway that answered."""
    failed: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    kills: int = 0
    slowest_s: float = 0.0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def more_from(self, name: str, count: int) -> None:
        """Wait until a gateway has answered so many more."""
        until = self.answers[name] + count
        async with asyncio.timeout(_PATIENCE_S):
            while self.answers[name] < until:
                self.changed.clear()
                await self.changed.wait()


class _Gateway:
    """One of them: a process on a port that it always comes back to."""

    def __init__(self, name: str, vendor: Vendor) -> None:
        self.name = name
        self.address = "127.0.0.1:0"
        self._vendor = vendor
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """Have it listen."""
        backend = f"RERANK_GATEWAY__BACKENDS__{self.name.upper()}"
        server = await self._running.enter_async_context(
            serving(
                *("--address", self.address),
                environ={
                    "RERANK_GATEWAY__ROUTES__DEFAULT__BACKENDS": f'["{self.name}"]',
                    f"{backend}__DIALECT": "tei",
                    f"{backend}__URL": self._vendor.url,
                    "RERANK_GATEWAY__LOGS__CALLS": "none",
                    "RERANK_GATEWAY__SERVER__MAX_LAG_S": "60",
                },
            )
        )
        self.address = server.address
        self._server = server

    async def kill(self) -> None:
        """End it without a word."""
        self._server.send_signal(signal.SIGKILL)
        await self._server.ended()
        await self._running.aclose()

    async def aclose(self) -> None:
        await self._running.aclose()


@asynccontextmanager
async def _two(vendor: Vendor) -> AsyncIterator[tuple[_Gateway, ...]]:
    async with AsyncExitStack() as parts:
        gateways = tuple(_Gateway(name, vendor) for name in _NAMES)
        for each in gateways:
            await each.start()
            parts.push_async_callback(each.aclose)
        yield gateways


async def kill_in_turns(*, kills: int, every_s: float) -> Seen:
    """Kill one after the other under load, each when the callers have found both again.

    Args:
        kills: How many.
        every_s: How long to wait between two, at least.

    """
    seen = Seen()
    async with (
        Vendor(_SHAPE.scored(place_of), info=_SHAPE.info) as vendor,
        _two(vendor) as gateways,
        grpc.aio.insecure_channel(
            f"ipv4:{','.join(each.address for each in gateways)}",
            options=[
                ("grpc.service_config", _CONFIG),
                ("grpc.use_local_subchannel_pool", 1),
            ],
        ) as channel,
        asyncio.TaskGroup() as group,
    ):
        stop = asyncio.Event()
        for number in range(_CALLERS):
            group.create_task(_call(channel, seen, number, stop))
        for place in range(kills):
            for each in gateways:
                await seen.more_from(each.name, _MET)
            await asyncio.sleep(every_s)
            going = gateways[place % len(gateways)]
            staying = gateways[1 - place % len(gateways)]
            await going.kill()
            seen.kills += 1
            # With one of them alone, too.
            await seen.more_from(staying.name, _MET)
            await going.start()
            vendor.received.clear()
        for each in gateways:
            await seen.more_from(each.name, _MET)
        stop.set()
    return seen


async def _call(
    channel: grpc.aio.Channel, seen: Seen, number: int, stop: asyncio.Event
) -> None:
    stub: rerank_service_pb2_grpc.RerankServiceAsyncStub
    stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
    now = asyncio.get_running_loop().time
    for each in count():
        if stop.is_set():
            return
        request = rerank_request(3, query=f"{number} {each}")
        began = now()
        try:
            answer = await stub.Rerank(request, timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            seen.failed.append(f"{error.code().name}: {error.details()}")
            continue
        finally:
            seen.slowest_s = max(seen.slowest_s, now() - began)
        if answer.execution.outcome != execution_pb2.OUTCOME_RERANKED:
            seen.untrue.append(answer.message)
        seen.answers[answer.execution.backend] += 1
        seen.changed.set()
