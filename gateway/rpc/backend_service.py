"""`rerank.v1.BackendService`."""

import asyncio
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from grpc.aio import ServicerContext

from gateway.backends.errors import BackendState
from gateway.errors import InvalidRequest, Violation
from gateway.events import CircuitState
from gateway.inspecting import (
    Configured,
    Inspecting,
    Inspection,
    Service,
    ServiceKind,
)
from gateway.ranking.normalize import Scale
from gateway.reranking import Reserve
from gateway.rpc.paging import read_page
from gateway.rpc.responses import duration_of, reason_of
from gateway.siblings import ALONE, Siblings
from rerank.v1 import backend_pb2, backend_service_pb2, backend_service_pb2_grpc

SERVICE = "rerank.v1.BackendService"

_DEFAULT_PAGE = 100

# Built when imported, so a name that the contract lacks cannot go unnoticed.
_STATES = {
    state: backend_pb2.BackendState.Value(f"BACKEND_STATE_{state}")
    for state in BackendState
}
_CIRCUITS = {
    state: backend_pb2.CircuitState.Value(f"CIRCUIT_STATE_{state}")
    for state in CircuitState
}
_SEVERAL = 2
_KINDS = {
    kind: backend_pb2.BackendKind.Value(f"BACKEND_KIND_{kind}") for kind in ServiceKind
}
_SCALES = {
    scale: backend_pb2.ScoreScale.Value(f"SCORE_SCALE_{scale.upper()}")
    for scale in Scale
}


class BackendService(backend_service_pb2_grpc.BackendServiceServicer):
    """Tells which backends are configured and whether they work.

    Args:
        inspecting: The use case.
        reserve: What of a caller's deadline is kept for the way back.
        siblings: The processes that serve together.

    """

    def __init__(
        self, *, inspecting: Inspecting, reserve: Reserve, siblings: Siblings = ALONE
    ) -> None:
        self._inspecting = inspecting
        self._reserve = reserve
        self._siblings = siblings

    def own(self) -> bytes:
        """Give what this process knows, as it goes over the wire."""
        return backend_service_pb2.ListBackendsResponse(
            backends=self._own()
        ).SerializeToString()

    def _own(self) -> list[backend_pb2.Backend]:
        return [
            backend
            for inspection in self._inspecting.inspections()
            for backend in _backends(inspection, worker=self._siblings.place)
        ]

    async def ListBackends(  # noqa: N802 - gRPC's name
        self,
        request: backend_service_pb2.ListBackendsRequest,
        _: "ServicerContext[Any, Any]",
    ) -> backend_service_pb2.ListBackendsResponse:
        """List every backend with what is known about it."""
        page = read_page(request, default_size=_DEFAULT_PAGE)
        every = self._own()
        for other in await self._siblings.others_backends():
            listing = backend_service_pb2.ListBackendsResponse.FromString(other)
            every.extend(listing.backends)
        every.sort(key=_place)
        listed, next_page_token = page.cut(every, name=_place)
        return backend_service_pb2.ListBackendsResponse(
            backends=listed, next_page_token=next_page_token
        )

    async def CheckBackend(  # noqa: N802 - gRPC's name
        self,
        request: backend_service_pb2.CheckBackendRequest,
        context: "ServicerContext[Any, Any]",
    ) -> backend_service_pb2.CheckBackendResponse:
        """Ask one backend now."""
        if not request.name:
            raise InvalidRequest((Violation("name", "is required"),))
        deadline = None
        remaining_s = context.time_remaining()
        if remaining_s is not None:
            now = asyncio.get_running_loop().time()
            deadline = now + remaining_s - self._reserve.of(remaining_s)
        found = await self._inspecting.check(request.name, deadline=deadline)
        return backend_service_pb2.CheckBackendResponse(
            available=found.state is BackendState.READY,
            state=_STATES[found.state],
            failure_reason=reason_of(found.failure),
            message=found.message,
            round_trip=duration_of(found.round_trip_s),
            model=found.model,
        )


def _place(backend: backend_pb2.Backend) -> str:
    """Say where it stands: by name, a replica after its backend, then by worker."""
    _, _, replica = backend.name.partition("/")
    name = backend.parent or backend.name
    # A space comes before whatever a name may go on with.
    return f"{name} {int(replica or 0):04} {backend.worker:04}"


def _backends(inspection: Inspection, *, worker: int) -> list[backend_pb2.Backend]:
    """Describe a backend and, where it has several, each of its servers."""
    backend = _backend(inspection)
    backend.worker = worker
    if len(inspection.circuits) < _SEVERAL:
        return [backend]
    return [
        backend,
        *(
            backend_pb2.Backend(
                name=name,
                kind=backend_pb2.BACKEND_KIND_REPLICA,
                dialect=backend.dialect,
                model=backend.model,
                scale=backend.scale,
                limits=backend.limits,
                circuit=_CIRCUITS[circuit],
                parent=backend.name,
                listwise=backend.listwise,
                worker=worker,
            )
            for name, circuit in inspection.circuits.items()
        ),
    ]


def _backend(inspection: Inspection) -> backend_pb2.Backend:
    configured, seen = inspection.configured, inspection.seen
    state = seen.state
    if isinstance(configured, Service):
        backend = _service(configured)
    else:
        backend = _reranker(configured)
        backend.circuit = _CIRCUITS[seen.circuit]
        state = BackendState.MISCONFIGURED if configured.problem else state
    backend.last_failure_reason = reason_of(seen.last_failure)
    if state:
        backend.state = _STATES[state]
    if seen.last_failure_at is not None:
        at = Timestamp()
        at.FromMicroseconds(int(seen.last_failure_at * 1_000_000))
        backend.last_failure_time.CopyFrom(at)
    return backend


def _reranker(configured: Configured) -> backend_pb2.Backend:
    backend = backend_pb2.Backend(
        name=configured.name,
        kind=backend_pb2.BACKEND_KIND_RERANKER,
        dialect=configured.dialect,
        model=configured.facts.model,
        limits=backend_pb2.BackendLimits(
            max_documents=configured.facts.max_documents,
            max_tokens=configured.max_tokens,
            max_in_flight=configured.max_in_flight,
            max_queued=configured.max_queued,
            timeout=duration_of(configured.timeout_s),
        ),
        listwise=configured.listwise,
        default_top_k=configured.default_top_k,
        min_score=configured.min_score,
    )
    if configured.scale:
        backend.scale = _SCALES[configured.scale]
    return backend


def _service(service: Service) -> backend_pb2.Backend:
    return backend_pb2.Backend(
        name=service.name,
        kind=_KINDS[service.kind],
        dialect=service.dialect,
        model=service.model,
        limits=backend_pb2.BackendLimits(timeout=duration_of(service.timeout_s)),
    )
