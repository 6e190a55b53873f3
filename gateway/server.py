"""The server: bind, health, reflection, HTTP beside gRPC, and an end that loses no call."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Protocol

import grpc
from grpc.aio import ServerInterceptor
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.concurrency import all_of, in_the_background
from gateway.connections import connection_options
from gateway.events import Emit
from gateway.identity.entrance import OPEN, Entrance
from gateway.listening import AddressError, bound, shared
from gateway.loop_lag import LoopLag
from gateway.observing import Observer
from gateway.rpc import (
    backend_service,
    document_service,
    health,
    reflection,
    rerank_service,
    search_service,
    tei_service,
)
from gateway.rpc.assembling import Services
from gateway.rpc.auditing import Auditing
from gateway.rpc.calls import Calls
from gateway.rpc.certified import IdentifyingByCertificate, NotingCertificate
from gateway.rpc.guard import Guard
from gateway.rpc.health import Health
from gateway.rpc.identifying import Identifying
from gateway.rpc.in_process import InProcess
from gateway.rpc.reflection import enable_reflection, methods_of
from gateway.rpc.secured import server_credentials
from gateway.rpc.shedding import Shedding
from gateway.settings import HttpSettings, ServerSettings
from gateway.siblings import ALONE, Siblings

if TYPE_CHECKING:
    from aiohttp import web

    from gateway.faces.listener import Answer, Listener

_SERVICES = (
    backend_service.SERVICE,
    document_service.SERVICE,
    rerank_service.SERVICE,
    search_service.SERVICE,
)

_NEVER_WATCHED = frozenset({health.SERVICE, *reflection.SERVICES})
_NEVER_REFUSED = _NEVER_WATCHED | {backend_service.SERVICE}


class Served(Protocol):
    """What serves under one configuration."""

    @property
    def services(self) -> Services:
        """What answers calls."""

    @property
    def http(self) -> "Answer | None":
        """What answers requests by HTTP, if anything does."""


class Server:
    """Serves every service that works.

    Health is per service and SERVING from the start to the stop, also while every
    backend is down: callers still get their documents back.

    Args:
        settings: Address, limits and message sizes.
        observer: Watches each call.
        emit: Told how each call ended.
        entrance: Whom it lets in.
        siblings: The processes that share its port.
        http: Where HTTP is listened for, and for how long a connection may be idle; without
            an address nowhere.

    """

    def __init__(
        self,
        *,
        settings: ServerSettings,
        observer: Observer,
        emit: Emit,
        entrance: Entrance = OPEN,
        siblings: Siblings = ALONE,
        http: HttpSettings,
    ) -> None:
        self._settings = settings
        self._shares_port = siblings.count > 1
        self._lag = LoopLag()
        self._watching = AsyncExitStack()
        self._services = (*_SERVICES, *(tei_service.SERVICES if settings.tei else ()))
        self.room = Shedding(
            max_calls=settings.max_calls,
            max_lag_s=settings.max_lag_s,
            lag_s=self.lag_s,
            exempt=_NEVER_REFUSED,
        )
        """What this process can serve, and how much of it is in use."""
        self._calls = Calls(
            observer=observer,
            emit=emit,
            methods=methods_of(self._services),
            exempt=_NEVER_WATCHED,
            allow_debug=settings.allow_debug,
        )
        self._entrance = entrance
        # All is seen; strangers take no room from those who may call; and what is refused
        # for overload is not worth a guard's work.
        interceptors = [
            *_noting(entrance),
            self._calls,
            Auditing(emit),
            *_identifying(entrance),
            self.room,
            Guard(),
        ]
        self.in_process = InProcess(interceptors)
        """The way to the services for what did not come over gRPC."""
        self._server = grpc.aio.server(
            interceptors=interceptors,
            options=[
                # By default a second gateway would bind the same port without a word,
                # and each would get half of the calls.
                ("grpc.so_reuseport", int(self._shares_port)),
                ("grpc.max_receive_message_length", settings.max_message_bytes),
                ("grpc.max_send_message_length", settings.max_message_bytes),
                *connection_options(settings),
            ],
        )
        self._idle_timeout_s = http.idle_timeout_s
        self._http: Listener | None = None
        self.http_address = http.address
        """HOST:PORT of the HTTP faces, once started with the port that was taken."""
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        enable_reflection((*self._services, health.SERVICE), self._server)

    @property
    def in_flight(self) -> int:
        """Calls that are served now."""
        return self.room.calls

    def lag_s(self) -> float:
        """Tell how late this process comes to its work."""
        return self._lag.seconds(asyncio.get_running_loop().time())

    def change(self, settings: ServerSettings) -> None:
        """Take other limits for the whole process; what is about sockets stays."""
        self.room.limit(max_calls=settings.max_calls, max_lag_s=settings.max_lag_s)
        self._calls.allow_debug = settings.allow_debug

    async def start(self, enter: Callable[[], Served]) -> str:
        """Bind, listen, and give the address, with the port that was taken.

        Args:
            enter: Gives what serves now, for as long as the task lives that asks.

        Raises:
            AddressError: In use, not ours, or not resolvable.

        """
        address = self._settings.address
        if not self._shares_port:  # whoever started all of them has looked
            check_free(address)
        self._server.add_generic_rpc_handlers((_Entering(enter, self._services),))
        try:
            if shown := self._entrance.grpc:
                credentials = server_credentials(shown)
                port = self._server.add_secure_port(address, credentials)
            else:
                port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            message = f"cannot listen on {address}"
            raise AddressError(message) from error
        for service in self._services:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        if self.http_address:
            # Imported where there is one, since that takes 0.1 s.
            from gateway.faces.listener import Listener

            self._http = Listener(_entered(enter), idle_timeout_s=self._idle_timeout_s)
            take = shared if self._shares_port else bound
            place = take(self.http_address)
            secure = self._entrance.http
            await self._http.start(place, secure.context() if secure else None)
            host = self.http_address.rpartition(":")[0]
            self.http_address = f"{host}:{place.getsockname()[1]}"
        await self._server.start()
        await self._watching.enter_async_context(in_the_background(self._lag.watch()))
        return f"{address.rpartition(':')[0]}:{port}"

    async def stop(self, *, grace_s: float) -> None:
        """Take no new call, let those in flight finish, and cancel what is left.

        Args:
            grace_s: How long they may take.

        """
        await self._health.enter_graceful_shutdown()
        stopping = [self._server.stop(grace_s)]
        if self._http:
            stopping.append(self._http.stop(grace_s=grace_s))
        await all_of(*stopping)
        await self._watching.aclose()


def _noting(entrance: Entrance) -> list[ServerInterceptor]:
    if entrance.identify is None or not entrance.by_certificate:
        return []
    return [NotingCertificate(entrance.identify)]


def _identifying(entrance: Entrance) -> list[ServerInterceptor]:
    if entrance.identify is None:
        return []
    if entrance.by_certificate:
        return [IdentifyingByCertificate(open_to_all=entrance.open)]
    return [Identifying(identify=entrance.identify, open_to_all=entrance.open)]


class _Entering(grpc.GenericRpcHandler):
    """Finds who answers a call among the services that there are when it comes."""

    def __init__(self, enter: Callable[[], Served], services: Sequence[str]) -> None:
        self._enter = enter
        self._services = frozenset(services)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """Give it."""
        service = handler_call_details.method.rpartition("/")[0].lstrip("/")
        if service not in self._services:
            return None
        # gRPC runs each call, from here to its end, in one task.
        return self._enter().services.handlers.find(handler_call_details)


def _entered(enter: Callable[[], Served]) -> "Answer":
    async def answer(request: "web.BaseRequest") -> "web.StreamResponse":
        respond = enter().http
        if respond is None:  # nothing listens where nothing answers
            raise AssertionError(request.path)
        return await respond(request)

    return answer


def check_free(address: str) -> None:
    """Bind and let go again: gRPC itself says why it cannot bind in twenty lines.

    Args:
        address: HOST:PORT.

    Raises:
        AddressError: In use, not ours, or not resolvable.

    """
    bound(address).close()
