"""Callers known by their certificates: what each may, whose they are, and another table."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.compose import Gateway, gateway
from gateway.events import CallEnded, Event
from gateway.reloading.change import CannotChange
from gateway.reloading.waiting import settled
from gateway.settings import Settings, SettingsError, checked
from rerank.v1 import (
    backend_service_pb2,
    backend_service_pb2_grpc,
    document_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)
from tests.support.identities import Authority, Files

pytestmark = pytest.mark.real_time

_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Scene:
    served: Gateway
    authority: Authority
    callers: Authority
    server: Files
    began: Settings
    events: list[Event]

    def configuration(self, certificates: Mapping[str, Any]) -> Settings:
        return checked(
            {
                "server": {"address": "127.0.0.1:0"},
                "retrieval": {"engine": "none"},
                "routes": {"other": {"backends": ["local"]}},
                "tls": {
                    "certificate": str(self.server.certificate),
                    "key": str(self.server.key),
                    "client_ca": str(self.callers.file),
                    "client_auth": "require",
                },
                "identity": {"mode": "certificates", "certificates": certificates},
            }
        )

    async def reload(self, certificates: Mapping[str, Any]) -> tuple[str, ...]:
        wanted, waiting = settled(self.began, self.configuration(certificates))
        (await self.served.prepare(wanted)).apply()
        return waiting

    @asynccontextmanager
    async def shown(self, common: str) -> AsyncIterator[grpc.aio.Channel]:
        """Connect with a certificate that has this common name."""
        files = self.callers.certified(common, common=(common,))
        credentials = grpc.ssl_channel_credentials(
            self.authority.pem, files.key.read_bytes(), files.pem
        )
        apart = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.secure_channel(
            self.served.address, credentials, apart
        ) as channel:
            yield channel


@asynccontextmanager
async def _serving(
    folder: Path, certificates: Mapping[str, Any]
) -> AsyncIterator[Scene]:
    authority, callers = Authority(folder, "authority"), Authority(folder, "callers")
    one: Any = Scene(
        None,  # type: ignore[arg-type]  # until it serves
        authority,
        callers,
        authority.signed("server"),
        Settings(),
        [],
    )
    settings = one.configuration(certificates)
    async with gateway(settings, one.events.append) as served:
        yield Scene(served, authority, callers, one.server, settings, one.events)


async def _rerank(channel: grpc.aio.Channel, route: str = "") -> None:
    stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
    request = rerank_service_pb2.RerankRequest(
        query="soup", documents=[document_pb2.Document(text="soup")], route=route
    )
    await stub.Rerank(request, timeout=_PATIENCE_S)


async def _listed(channel: grpc.aio.Channel) -> grpc.StatusCode:
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    request = backend_service_pb2.ListBackendsRequest()
    return await stub.ListBackends(request, timeout=_PATIENCE_S).code()


async def _refused(channel: grpc.aio.Channel, route: str = "") -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await _rerank(channel, route)
    return raised.value.code()


async def test_it_may_what_its_entry_says_and_its_calls_are_its_tenants(
    tmp_path: Path,
) -> None:
    entries = {
        "shop": {"common_name": "shop", "tenant": "acme", "routes": ["default"]},
        "hall": {"common_name": "hall", "admin": True},
    }
    async with _serving(tmp_path, entries) as scene:
        async with scene.shown("shop") as shop, scene.shown("hall") as hall:
            await _rerank(shop)
            assert await _refused(shop, "other") is grpc.StatusCode.NOT_FOUND
            await _rerank(hall, "other")
            assert await _listed(shop) is grpc.StatusCode.PERMISSION_DENIED
            assert await _listed(hall) is grpc.StatusCode.OK
        ended = [each for each in scene.events if isinstance(each, CallEnded)]
    assert [each.tenant for each in ended[:3]] == ["acme", "acme", "hall"]


async def test_another_table_holds_at_once_also_on_open_connections(
    tmp_path: Path,
) -> None:
    async with (
        _serving(tmp_path, {"shop": {"common_name": "shop"}}) as scene,
        scene.shown("shop") as shop,
        scene.shown("hall") as hall,
    ):
        await _rerank(shop)
        assert await _refused(hall) is grpc.StatusCode.UNAUTHENTICATED
        assert await scene.reload({"hall": {"common_name": "hall"}}) == ()
        await _rerank(hall)
        assert await _refused(shop) is grpc.StatusCode.UNAUTHENTICATED


async def test_an_empty_table_is_not_put_in_place(tmp_path: Path) -> None:
    async with (
        _serving(tmp_path, {"shop": {"common_name": "shop"}}) as scene,
        scene.shown("shop") as shop,
    ):
        with pytest.raises((SettingsError, CannotChange)):
            await scene.reload({})
        await _rerank(shop)
