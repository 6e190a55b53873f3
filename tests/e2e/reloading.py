"""A gateway in this process whose configuration is replaced while it serves."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from gateway.compose import Gateway, gateway
from gateway.events import Event, Reloaded
from gateway.reloading.reload import Reloading
from gateway.settings import Settings, checked
from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)
from tests.e2e.running import rerank_request

Raw = Mapping[str, Any]
"""What a configuration file would say."""

PATIENCE_S = 30.0


def backend(url: str, **more: Any) -> dict[str, Any]:
    """Configure a backend that is asked once, whatever it did before."""
    return {
        "dialect": "tei",
        "url": url,
        "retries": 0,
        "failures_in_a_row": 1_000_000,
        "failure_share": 1.0,
        **more,
    }


def configuration(backends: Raw, **more: Any) -> dict[str, Any]:
    """Configure a route over backends, in their order."""
    return {
        "server": {"address": "127.0.0.1:0", "max_lag_s": 60.0},
        "retrieval": {"engine": "none"},
        "routes": {"default": {"backends": list(backends)}},
        "backends": dict(backends),
        **more,
    }


@dataclass(slots=True)
class Scene:
    """What reloads, and a caller."""

    gateway: Gateway
    reloading: Reloading
    channel: grpc.aio.Channel
    raw: Raw
    """What the next reload reads."""
    events: list[Event]

    @property
    def stub(self) -> "rerank_service_pb2_grpc.RerankServiceAsyncStub":
        return rerank_service_pb2_grpc.RerankServiceStub(self.channel)

    async def reload(self, raw: Raw) -> Reloaded:
        self.raw = raw
        return await self.reloading.reload("a test")

    async def rerank(
        self, query: str = "q", count: int = 3
    ) -> rerank_service_pb2.RerankResponse:
        request = rerank_request(count, query=query)
        return await self.stub.Rerank(request, timeout=PATIENCE_S)

    async def backends(self) -> dict[str, backend_pb2.Backend]:
        stub = backend_service_pb2_grpc.BackendServiceStub(self.channel)
        listed = await stub.ListBackends(
            backend_service_pb2.ListBackendsRequest(), timeout=PATIENCE_S
        )
        return {each.name: each for each in listed.backends}


@asynccontextmanager
async def scene(raw: Raw) -> AsyncIterator[Scene]:
    """Serve a configuration, and be ready to reload."""
    settings = checked(raw)
    events: list[Event] = []
    async with (
        gateway(settings, events.append) as served,
        grpc.aio.insecure_channel(
            served.address, options=[("grpc.use_local_subchannel_pool", 1)]
        ) as channel,
    ):

        async def put(wanted: Settings) -> None:
            (await served.prepare(wanted)).apply()

        async def tell(how: Reloaded) -> None:
            served.tell(how)

        one: Scene
        reloading = Reloading(
            load=lambda: checked(one.raw),
            began=settings,
            serving=settings,
            put=put,
            tell=tell,
        )
        one = Scene(served, reloading, channel, raw, events)
        yield one
