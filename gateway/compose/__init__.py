"""Settings become running parts, once: who holds whom."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from gateway.backends.dialects import GRPC_DIALECTS
from gateway.backends.scorer import Scorer
from gateway.backends.transport import Pool
from gateway.compose.built import Built, misconfigured
from gateway.compose.embedder import embedder
from gateway.compose.grpc_backend import grpc_backend
from gateway.compose.http_backend import http_backend
from gateway.compose.identity import entrance, permitted
from gateway.compose.local_backend import local_backend
from gateway.compose.memories import NO_MEMORIES, Memories, memories
from gateway.compose.metering import metering
from gateway.compose.retrieval import retriever
from gateway.compose.services import services
from gateway.compose.stack import Leaf, Surroundings, stack
from gateway.events import Emit, Event
from gateway.identity.entrance import Entrance
from gateway.identity.permitted import PermittedRoutes
from gateway.inspecting import Inspecting, Watch
from gateway.layers.admission import Admission
from gateway.layers.fallback import Fallback
from gateway.reranking import Reranking, Reserve, Route
from gateway.searching import Searching, SearchRoute
from gateway.searching.contract import Fusion
from gateway.searching.finding import Finding
from gateway.server import Server, check_free
from gateway.settings import LOCAL, BackendSettings, Settings
from gateway.settings.dividing import divided
from gateway.settings.models import NO_ENGINE
from gateway.siblings import ALONE, Siblings
from gateway.storing import Storing, StoringLimits
from gateway.telemetry.running import Running as Telemetry
from gateway.telemetry.running import telemetry
from gateway.tenants.metering import Metering

if TYPE_CHECKING:
    from gateway.compose.faces import Faces

__all__ = ["NO_MEMORIES", "Gateway", "Leaf", "Surroundings", "gateway", "stack"]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is listening."""

    address: str
    """HOST:PORT, with the port that was taken."""
    server: Server
    http_address: str
    """The same of the HTTP faces; empty: there are none."""
    metrics_address: str
    """The same of the endpoint for Prometheus; empty: there is none."""
    numbers: Callable[[], Awaitable[list[Any]]]
    """Gives all metrics as they are now, to be added to those of others."""


@asynccontextmanager
async def gateway(
    settings: Settings, emit: Emit, *, siblings: Siblings = ALONE
) -> AsyncIterator[Gateway]:
    """Build a gateway, let it listen, and take it apart at the end.

    Args:
        settings: Of all processes that serve together.
        emit: Told what happens.
        siblings: These processes, each of which has its part of limits and memory.

    Raises:
        AddressError: It cannot listen where it should.
        LedgerUnusable: Tenants are configured, and what they use cannot be written down.

    """
    if siblings.count > 1:
        settings = divided(settings, siblings.share)
    else:
        # First of all: models and collections take seconds to open.
        check_free(settings.server.address)
        if settings.http.address:
            check_free(settings.http.address)
    watch = Watch()
    async with AsyncExitStack() as parts:
        # Before anything is opened: who must not be let in must not wait for it either.
        door = await entrance(settings, parts)
        # Last to end but that: it tells of the end of all the others.
        told = await parts.enter_async_context(
            telemetry(
                settings.telemetry,
                siblings=siblings,
                secure=door.metrics.context() if door.metrics else None,
            )
        )
        listeners: tuple[Emit, ...] = (watch, emit, *told.listeners)

        def tell(event: Event) -> None:
            for listen in listeners:
                listen(event)

        # A backend used in two routes has one stack: one queue, one limit.
        chance = Random()  # noqa: S311 - for pauses, no secrets
        around = Surroundings(
            memories=await memories(
                settings.cache,
                emit=tell,
                parts=parts,
                tenants=bool(settings.tenants),
            ),
            chance=chance,
            emit=tell,
            observer=told.observer,
            wire=told.wire,
            siblings=siblings,
            metering=await metering(
                settings, siblings=siblings, emit=tell, parts=parts
            ),
        )
        backends = {
            name: await _backend(name, backend, around, parts)
            for name, backend in sorted(settings.backends.items())
            if name in _used(settings) or name != LOCAL
        }
        engine = await retriever(settings.retrieval, parts)
        vectors = None
        if settings.retrieval.engine != NO_ENGINE:
            vectors = await embedder(settings.embedder, around, parts)
        reserve = Reserve(
            share=settings.server.reserve_share,
            least_s=settings.server.reserve_least_s,
        )
        routes: Mapping[str, Route] = _routes(settings, backends, around.metering)
        search_routes: Mapping[str, SearchRoute] = _search_routes(settings, backends)
        collections = engine
        if door.identify:
            routes = PermittedRoutes(routes)
            search_routes = PermittedRoutes(search_routes)
            collections = permitted(engine)
        reranking = Reranking(
            routes=routes,
            reserve=reserve,
            observer=told.observer,
        )
        inspecting = Inspecting(
            backends={name: built.configured for name, built in backends.items()},
            services=services(settings, retriever=engine, embedder=vectors),
            watch=watch,
        )
        server = Server(
            reranking=reranking,
            searching=Searching(
                retriever=collections,
                finding=Finding(retriever=collections, embedder=vectors),
                reranking=reranking,
                routes=search_routes,
                reserve=reserve,
                timeout_s=settings.retrieval.timeout_s,
                observer=told.observer,
            ),
            storing=Storing(
                retriever=collections,
                embedder=vectors,
                limits=StoringLimits(
                    max_document_bytes=settings.server.max_document_bytes
                ),
                embed_timeout_s=settings.embedder.import_timeout_s,
            ),
            inspecting=inspecting,
            reserve=reserve,
            settings=settings.server,
            max_answer_bytes=settings.cache.max_answer_bytes,
            labels=tuple(sorted(settings.ledger.labels)),
            observer=told.observer,
            emit=tell,
            entrance=door,
            siblings=siblings,
            faces=_faces(settings, inspecting, door),
            http_address=settings.http.address,
        )
        _expect(settings, told, server, around.memories, backends)
        address = await server.start()
        # What a test or a command leaves without stopping is not waited for.
        parts.push_async_callback(server.stop, grace_s=0)
        yield Gateway(
            address=address,
            server=server,
            http_address=server.http_address,
            metrics_address=told.metrics_address,
            numbers=told.instruments.numbers,
        )


def _faces(
    settings: Settings, inspecting: Inspecting, door: Entrance
) -> "Faces | None":
    if not settings.http.address:
        return None
    from gateway.compose.faces import faces

    return faces(settings, inspecting, door)


def _expect(
    settings: Settings,
    told: Telemetry,
    server: Server,
    memories: Memories,
    backends: dict[str, Built],
) -> None:
    """Show what there is before anything happens, and what only has a value now."""
    shown = told.instruments
    shown.watch_server(lag_s=server.lag_s, in_flight=lambda: server.in_flight)
    if memory := memories.process:
        shown.watch_memory(
            entries=lambda: memory.entries,
            used_bytes=lambda: memory.used_bytes,
            expired=lambda: memory.expired,
            displaced=lambda: memory.displaced,
        )
    for name, built in backends.items():
        shown.expect_backend(name, servers=built.configured.replicas)
    for route in settings.routes.values():
        shown.expect_fallbacks(route.backends[0])


def _used(settings: Settings) -> set[str]:
    return {name for route in settings.routes.values() for name in route.backends}


def _routes(
    settings: Settings, backends: dict[str, Built], metered: Metering | None
) -> dict[str, Route]:
    def admitted(scorer: Scorer) -> Scorer:
        if metered is None:
            return scorer
        return Admission(scorer, tenants=metered.tenants, emit=metered.emit)

    min_scores = {
        name: backend.min_score
        for name, backend in settings.backends.items()
        if backend.min_score is not None
    }
    return {
        name: Route(
            # Above Fallback: another backend is no way round a tenant's rate.
            scorer=admitted(
                Fallback(tuple(backends[each].scorer for each in route.backends))
            ),
            backends=tuple(route.backends),
            timeout_s=route.timeout_s,
            top_k=route.top_k,
            min_score=route.min_score,
            backend_min_scores=min_scores,
            cache_ttl_s=route.cache_ttl_s,
            passages=(
                route.max_passages if route.long_documents == "max_passage" else 0
            ),
            shares_cache=route.share_cache,
            takes_partial=route.on_deadline == "partial",
        )
        for name, route in settings.routes.items()
    }


def _search_routes(
    settings: Settings, backends: dict[str, Built]
) -> dict[str, SearchRoute]:
    return {
        name: SearchRoute(
            enabled=route.enabled,
            fusion=Fusion(route.fusion.upper()),
            adaptive_weights=route.adaptive_weights,
            timeout_s=route.timeout_s,
            top_k=route.top_k
            or max(backends[each].top_k_found for each in route.backends),
        )
        for name, route in settings.routes.items()
    }


async def _backend(
    name: str, settings: BackendSettings, around: Surroundings, parts: AsyncExitStack
) -> Built:
    if settings.problem:
        return misconfigured(name, settings, settings.problem)
    if settings.dialect == LOCAL:
        return await local_backend(name, settings, around, parts)
    if settings.dialect in GRPC_DIALECTS:
        return await grpc_backend(name, settings, around, parts)
    return await http_backend(name, settings, around, parts, transport=Pool())
