"""Put the services of one configuration together, as a server takes them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.admitting import Admitting
from gateway.inspecting import Inspecting
from gateway.observing import Observer
from gateway.reranking import Reranking, Reserve
from gateway.rpc.backend_service import BackendService
from gateway.rpc.document_service import DocumentService
from gateway.rpc.in_process import Handlers
from gateway.rpc.recollection import Recollection
from gateway.rpc.requests import Limits
from gateway.rpc.rerank_batch import RerankBatch, Room
from gateway.rpc.rerank_service import RerankService, add_rerank_service
from gateway.rpc.search_service import SearchService
from gateway.rpc.tei_service import TeiService, add_tei_service
from gateway.searching import Searching
from gateway.siblings import Siblings
from gateway.storing import Storing
from rerank.v1 import (
    backend_service_pb2_grpc,
    document_service_pb2_grpc,
    search_service_pb2_grpc,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UseCases:
    """What is served."""

    reranking: Reranking
    searching: Searching
    storing: Storing
    inspecting: Inspecting
    admitting: Admitting
    """Bounds how much a caller asks."""
    reserve: Reserve
    """What of a caller's deadline is kept for the way back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much is served."""

    limits: Limits
    """Of one request."""
    max_answer_bytes: int
    """How much memory whole answers may take; 0: none is kept."""
    max_calls: int
    """At once."""
    max_batch_in_flight: int
    """Requests of one stream at once."""
    max_message_bytes: int


@dataclass(frozen=True, slots=True)
class Services:
    """All services."""

    handlers: Handlers
    backends: Callable[[], bytes]
    """Gives what this process knows of backends, as it goes over the wire."""


def assembled(
    serving: UseCases,
    bounds: Bounds,
    *,
    tei: bool,
    room: Room,
    observer: Observer,
    siblings: Siblings,
) -> Services:
    """Give what answers every call.

    Args:
        serving: The use cases behind it.
        bounds: How much of everything.
        tei: Whether those of a text-embeddings-inference are among them.
        room: In this process.
        observer: Watches each request.
        siblings: The processes that share its port.

    """
    handlers = Handlers()
    # What protoc generates knows grpc's servers alone.
    server: Any = handlers
    rerank_service = RerankService(
        reranking=serving.reranking,
        limits=bounds.limits,
        answers=Recollection(max_bytes=bounds.max_answer_bytes),
        observer=observer,
    )
    rerank_batch = RerankBatch(
        reranking=serving.reranking,
        limits=bounds.limits,
        most_open=bounds.max_batch_in_flight,
        max_bytes=bounds.max_message_bytes,
        room=room,
        observer=observer,
    )
    backends = BackendService(
        inspecting=serving.inspecting, reserve=serving.reserve, siblings=siblings
    )
    add_rerank_service(rerank_service, rerank_batch, server)
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(
        SearchService(searching=serving.searching, limits=bounds.limits), server
    )
    document_service_pb2_grpc.add_DocumentServiceServicer_to_server(
        DocumentService(
            storing=serving.storing,
            limits=bounds.limits,
            admitting=serving.admitting,
        ),
        server,
    )
    backend_service_pb2_grpc.add_BackendServiceServicer_to_server(backends, server)
    if tei:
        service = TeiService(
            reranking=serving.reranking,
            inspecting=serving.inspecting,
            limits=bounds.limits,
            max_calls=bounds.max_calls,
            max_bytes=bounds.max_message_bytes,
        )
        add_tei_service(service, server)
    return Services(handlers, backends.own)
