"""All that serves under one configuration, from what lasts and what it has of its own."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.admitting import EVERYBODY
from gateway.backends.authorities import trust_problem
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.backends.transport import Pool
from gateway.compose.built import Built, misconfigured
from gateway.compose.embedder import embedder
from gateway.compose.grpc_backend import grpc_backend
from gateway.compose.http_backend import http_backend
from gateway.compose.identity import permitted
from gateway.compose.lasting import Lasting, Part
from gateway.compose.local_backend import local_backend
from gateway.compose.memories import Memories, memories
from gateway.compose.metering import price_of, requests_of
from gateway.compose.remote import urls_of
from gateway.compose.routes import rerank_routes, search_routes
from gateway.compose.services import services
from gateway.compose.stack import Surroundings
from gateway.identity.permitted import PermittedRoutes
from gateway.inspecting import Inspecting
from gateway.layers.process_memory import ProcessMemory
from gateway.reranking import Reranking, Reserve, Route
from gateway.retrieval.embedder import Embedder
from gateway.retrieval.embedders.refusing import RefusingEmbedder
from gateway.rpc.assembling import Bounds, Services, UseCases, assembled
from gateway.rpc.requests import Limits
from gateway.searching import Searching, SearchRoute
from gateway.searching.finding import Finding
from gateway.server import Server
from gateway.settings import LOCAL, BackendSettings, Settings
from gateway.settings.models import EMBEDDER, NO_ENGINE
from gateway.storing import Storing, StoringLimits

if TYPE_CHECKING:
    from gateway.faces.listener import Answer

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What serves under one configuration (`gateway.server.Served`)."""

    settings: Settings
    services: Services
    http: "Answer | None"
    backends: Mapping[str, Part]
    memories: Memories
    embedder: Embedder | None

    @property
    def memory(self) -> ProcessMemory | None:
        """That of scores in this process, if there is one."""
        return self.memories.process

    def problems(self) -> Iterator[str]:
        """Name what could not be built, or not without a secret."""
        for name, part in self.backends.items():
            if problem := part.built.configured.problem:
                yield f"backends.{name}: {problem}"
        if isinstance(self.embedder, RefusingEmbedder):
            yield f"{EMBEDDER}: {self.embedder.problem}"

    def announce(self) -> None:
        """Say loudly what will not be asked."""
        for name, part in self.backends.items():
            if problem := part.built.configured.problem:
                _log.error(
                    "backend %s is MISCONFIGURED and will not be asked: %s",
                    name,
                    problem,
                )
        if self.settings.tenants:
            for name in sorted(_used(self.settings)):
                if not price_of(self.settings.backends[name].price).is_set:
                    _log.warning(
                        "backend %s has no price: its calls are counted as unpriced",
                        name,
                    )
            if self.embedder and not price_of(self.settings.embedder.price).is_set:
                _log.warning(
                    "the embedder has no price: its calls are counted as unpriced"
                )


async def serving(
    settings: Settings, lasting: Lasting, server: Server, parts: AsyncExitStack
) -> Serving:
    """Build what a configuration wants; what runs already for another one is shared.

    Args:
        settings: The configuration, of this process.
        lasting: What all of them have.
        server: Where it will be served.
        parts: Holds the parts for as long as it serves.

    """
    remembering = await _memories(settings, lasting, parts)
    around = lasting.around(remembering)
    running = {
        name: await _part(name, backend, lasting, around, parts)
        for name, backend in sorted(settings.backends.items())
        if name in _used(settings) or name != LOCAL
    }
    backends = {name: part.built for name, part in running.items()}
    vectors = await _embedder(settings, lasting, around, parts)
    reserve = Reserve(
        share=settings.server.reserve_share,
        least_s=settings.server.reserve_least_s,
    )
    observer = lasting.told.observer
    routes: Mapping[str, Route] = rerank_routes(settings, backends, lasting.metering)
    for_search: Mapping[str, SearchRoute] = search_routes(settings, backends)
    collections = lasting.retriever
    if lasting.entrance.identify:
        routes, for_search = PermittedRoutes(routes), PermittedRoutes(for_search)
        collections = permitted(collections)
    reranking = Reranking(
        routes=routes,
        reserve=reserve,
        observer=observer,
        departures=lasting.departures,
    )
    inspecting = Inspecting(
        backends={name: built.configured for name, built in backends.items()},
        services=services(settings, retriever=lasting.retriever, embedder=vectors),
        watch=lasting.watch,
    )
    admitting = requests_of(lasting.metering) or EVERYBODY
    use_cases = UseCases(
        reranking=reranking,
        searching=Searching(
            retriever=collections,
            finding=Finding(retriever=collections, embedder=vectors),
            reranking=reranking,
            routes=for_search,
            reserve=reserve,
            timeout_s=settings.retrieval.timeout_s,
            observer=observer,
            admitting=admitting,
        ),
        storing=Storing(
            retriever=collections,
            embedder=vectors,
            limits=StoringLimits(max_document_bytes=settings.server.max_document_bytes),
            embed_timeout_s=settings.embedder.import_timeout_s,
        ),
        inspecting=inspecting,
        admitting=admitting,
        reserve=reserve,
    )
    bounds = Bounds(
        limits=_limits(settings),
        max_answer_bytes=settings.cache.max_answer_bytes,
        max_calls=settings.server.max_calls,
        max_batch_in_flight=settings.server.max_batch_in_flight,
        max_message_bytes=settings.server.max_message_bytes,
    )
    made = assembled(
        use_cases,
        bounds,
        tei=settings.server.tei,
        room=server.room,
        observer=observer,
        siblings=lasting.siblings,
    )
    return Serving(
        settings=settings,
        services=made,
        http=_http(
            settings,
            inspecting,
            lasting,
            limits=bounds.limits,
            made=made,
            server=server,
        ),
        backends=running,
        memories=remembering,
        embedder=vectors,
    )


def _limits(settings: Settings) -> Limits:
    """Say how much a request may bring, and what is kept of it."""
    server = settings.server
    return Limits(
        max_documents=server.max_documents,
        max_document_bytes=server.max_document_bytes,
        max_query_bytes=server.max_query_bytes,
        labels=tuple(sorted(settings.ledger.labels)),
    )


def _http(
    settings: Settings,
    inspecting: Inspecting,
    lasting: Lasting,
    *,
    limits: Limits,
    made: Services,
    server: Server,
) -> "Answer | None":
    if not settings.http.address:
        return None
    from gateway.compose.faces import faces

    return faces(
        settings,
        inspecting,
        entrance=lasting.entrance,
        limits=limits,
        handlers=made.handlers,
        in_process=server.in_process,
    )


def _used(settings: Settings) -> set[str]:
    return {name for route in settings.routes.values() for name in route.backends}


async def _memories(
    settings: Settings, lasting: Lasting, parts: AsyncExitStack
) -> Memories:
    async def make(ends: AsyncExitStack) -> Memories:
        return await memories(
            settings.cache,
            emit=lasting.tell,
            parts=ends,
            tenants=lasting.metering is not None,
        )

    # Whole answers are remembered elsewhere.
    made_of = settings.cache.model_copy(update={"max_answer_bytes": 0})
    return await lasting.memories.take("memories", made_of, make, parts)


async def _embedder(
    settings: Settings, lasting: Lasting, around: Surroundings, parts: AsyncExitStack
) -> Embedder | None:
    if settings.retrieval.engine == NO_ENGINE:
        return None

    async def make(ends: AsyncExitStack) -> Embedder | None:
        return await embedder(settings.embedder, around, ends)

    return await lasting.embedders.take(EMBEDDER, settings.embedder, make, parts)


async def _part(
    name: str,
    settings: BackendSettings,
    lasting: Lasting,
    around: Surroundings,
    parts: AsyncExitStack,
) -> Part:
    """Give a backend: a backend used in two routes has one stack, one queue, one limit.

    So has one that is the same in two configurations with the same memories.
    """

    async def make(ends: AsyncExitStack) -> Part:
        voice, own = lasting.speaking(around)
        return Part(await _built(name, settings, own, ends), voice)

    made_of = (settings, around.memories)
    return await lasting.backends.take(name, made_of, make, parts)


async def _built(
    name: str, settings: BackendSettings, around: Surroundings, parts: AsyncExitStack
) -> Built:
    if settings.problem:
        return misconfigured(name, settings, settings.problem)
    if settings.dialect == LOCAL:
        return await local_backend(name, settings, around, parts)
    traits = GRPC_DIALECTS.get(settings.dialect) or DIALECTS[settings.dialect]
    if problem := trust_problem(urls_of(settings, traits)):
        return misconfigured(name, settings, problem)
    if settings.dialect in GRPC_DIALECTS:
        return await grpc_backend(name, settings, around, parts)
    return await http_backend(name, settings, around, parts, transport=Pool())
