"""The server: bind, health, reflection, HTTP beside gRPC, and an end that loses no call."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.concurrency import all_of, in_the_background
from gateway.connections import connection_options
from gateway.events import Emit
from gateway.identity.entrance import OPEN, Entrance
from gateway.inspecting import Inspecting
from gateway.listening import AddressError, bound, shared
from gateway.loop_lag import LoopLag
from gateway.observing import Observer
from gateway.reranking import Reranking, Reserve
from gateway.rpc import (
    backend_service,
    document_service,
    health,
    reflection,
    rerank_service,
    search_service,
    tei_service,
)
from gateway.rpc.backend_service import BackendService
from gateway.rpc.calls import Calls
from gateway.rpc.document_service import DocumentService
from gateway.rpc.guard import Guard
from gateway.rpc.health import Health
from gateway.rpc.identifying import Identifying
from gateway.rpc.in_process import Handlers, InProcess
from gateway.rpc.recollection import Recollection
from gateway.rpc.reflection import enable_reflection
from gateway.rpc.requests import Limits
from gateway.rpc.rerank_batch import RerankBatch
from gateway.rpc.rerank_service import RerankService, add_rerank_service
from gateway.rpc.search_service import SearchService
from gateway.rpc.secured import server_credentials
from gateway.rpc.shedding import Shedding
from gateway.rpc.tei_service import TeiService, add_tei_service
from gateway.searching import Searching
from gateway.settings import ServerSettings
from gateway.siblings import ALONE, Siblings
from gateway.storing import Storing
from rerank.v1 import (
    backend_service_pb2_grpc,
    document_service_pb2_grpc,
    search_service_pb2_grpc,
)

if TYPE_CHECKING:
    from gateway.faces.listener import Listener

_SERVICES = (
    backend_service.SERVICE,
    document_service.SERVICE,
    rerank_service.SERVICE,
    search_service.SERVICE,
)

_NEVER_WATCHED = frozenset({health.SERVICE, *reflection.SERVICES})
_NEVER_REFUSED = _NEVER_WATCHED | {backend_service.SERVICE}


class Server:
    """Serves every service that works.

    Health is per service and SERVING from the start to the stop, also while every
    backend is down: callers still get their documents back.

    Args:
        reranking: The use case behind RerankService.
        searching: The use case behind SearchService.
        storing: The use case behind DocumentService.
        inspecting: The use case behind BackendService.
        reserve: What of a caller's deadline is kept for the way back.
        settings: Address, limits and message sizes.
        labels: Which labels of requests are kept, in order.
        max_answer_bytes: How much memory whole answers may take; 0: none is kept.
        observer: Watches each call.
        emit: Told how each call ended.
        entrance: Whom it lets in.
        siblings: The processes that share its port.
        faces: Given the services and the way to them, gives what listens for HTTP; None:
            nothing does.
        http_address: Where, as HOST:PORT.

    """

    def __init__(
        self,
        *,
        reranking: Reranking,
        searching: Searching,
        storing: Storing,
        inspecting: Inspecting,
        reserve: Reserve,
        settings: ServerSettings,
        max_answer_bytes: int,
        labels: tuple[str, ...] = (),
        observer: Observer,
        emit: Emit,
        entrance: Entrance = OPEN,
        siblings: Siblings = ALONE,
        faces: "Callable[[Handlers, InProcess], Listener] | None" = None,
        http_address: str = "",
    ) -> None:
        self._settings = settings
        self._shares_port = siblings.count > 1
        self._lag = LoopLag()
        self._watching = AsyncExitStack()
        self._shedding = Shedding(
            max_calls=settings.max_calls,
            max_lag_s=settings.max_lag_s,
            lag_s=self.lag_s,
            exempt=_NEVER_REFUSED,
        )
        calls = Calls(
            observer=observer,
            emit=emit,
            exempt=_NEVER_WATCHED,
            allow_debug=settings.allow_debug,
        )
        self._entrance = entrance
        # All is seen; strangers take no room from those who may call; and what is refused
        # for overload is not worth a guard's work.
        interceptors = [calls, *_identifying(entrance), self._shedding, Guard()]
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
        limits = Limits(
            max_documents=settings.max_documents,
            max_document_bytes=settings.max_document_bytes,
            max_query_bytes=settings.max_query_bytes,
            labels=labels,
        )
        rerank_service = RerankService(
            reranking=reranking,
            limits=limits,
            answers=Recollection(max_bytes=max_answer_bytes),
            observer=observer,
        )
        rerank_batch = RerankBatch(
            reranking=reranking,
            limits=limits,
            most_open=settings.max_batch_in_flight,
            max_bytes=settings.max_message_bytes,
            room=self._shedding,
            observer=observer,
        )
        search_service = SearchService(searching=searching, limits=limits)
        document_service = DocumentService(storing=storing, limits=limits)
        self._backends = BackendService(
            inspecting=inspecting, reserve=reserve, siblings=siblings
        )
        handlers = Handlers()
        served_by: tuple[Any, ...] = (self._server, handlers)
        for server in served_by:
            add_rerank_service(rerank_service, rerank_batch, server)
            search_service_pb2_grpc.add_SearchServiceServicer_to_server(
                search_service, server
            )
            document_service_pb2_grpc.add_DocumentServiceServicer_to_server(
                document_service, server
            )
            backend_service_pb2_grpc.add_BackendServiceServicer_to_server(
                self._backends, server
            )
        self._http = faces(handlers, InProcess(interceptors)) if faces else None
        self.http_address = http_address
        """HOST:PORT of the HTTP faces, once started with the port that was taken."""
        self._services: tuple[str, ...] = _SERVICES
        if settings.tei:
            self._services = (*_SERVICES, *tei_service.SERVICES)
            tei = TeiService(
                reranking=reranking,
                inspecting=inspecting,
                limits=limits,
                max_calls=settings.max_calls,
                max_bytes=settings.max_message_bytes,
            )
            add_tei_service(tei, self._server)
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        enable_reflection((*self._services, health.SERVICE), self._server)

    @property
    def in_flight(self) -> int:
        """Calls that are served now."""
        return self._shedding.calls

    def backends(self) -> bytes:
        """Give what this process knows of backends, as it goes over the wire."""
        return self._backends.own()

    def lag_s(self) -> float:
        """Tell how late this process comes to its work."""
        return self._lag.seconds(asyncio.get_running_loop().time())

    async def start(self) -> str:
        """Bind, listen, and give the address, with the port that was taken.

        Raises:
            AddressError: In use, not ours, or not resolvable.

        """
        address = self._settings.address
        if not self._shares_port:  # whoever started all of them has looked
            check_free(address)
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
        if self._http:
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


def _identifying(entrance: Entrance) -> list[Identifying]:
    if entrance.identify is None:
        return []
    return [Identifying(identify=entrance.identify, open_to_all=entrance.open)]


def check_free(address: str) -> None:
    """Bind and let go again: gRPC itself says why it cannot bind in twenty lines.

    Args:
        address: HOST:PORT.

    Raises:
        AddressError: In use, not ours, or not resolvable.

    """
    bound(address).close()
