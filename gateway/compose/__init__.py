"""Settings become running parts, once: who holds whom."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from gateway.backends.transport import open_transport
from gateway.compose.built import Built, misconfigured
from gateway.compose.http_backend import http_backend
from gateway.compose.local_backend import local_backend
from gateway.compose.stack import Leaf, stack
from gateway.events import Emit, Event
from gateway.inspecting import Inspecting, Watch
from gateway.layers.fallback import Fallback
from gateway.reranking import Reranking, Reserve, Route
from gateway.server import Server
from gateway.settings import LOCAL, BackendSettings, Settings

__all__ = ["Gateway", "Leaf", "gateway", "stack"]


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway that is listening."""

    address: str
    """HOST:PORT, with the port that was taken."""
    server: Server


@asynccontextmanager
async def gateway(settings: Settings, emit: Emit) -> AsyncIterator[Gateway]:
    """Build a gateway, let it listen, and take it apart at the end.

    Raises:
        AddressError: It cannot listen where it should.

    """
    watch = Watch()

    def tell(event: Event) -> None:
        watch(event)
        emit(event)

    async with AsyncExitStack() as parts:
        # A backend used in two routes has one stack: one queue, one limit.
        backends = {
            name: await _backend(name, backend, tell, parts)
            for name, backend in sorted(settings.backends.items())
            if name in _used(settings) or name != LOCAL
        }
        reserve = Reserve(
            share=settings.server.reserve_share,
            least_s=settings.server.reserve_least_s,
        )
        server = Server(
            reranking=Reranking(routes=_routes(settings, backends), reserve=reserve),
            inspecting=Inspecting(
                backends={name: built.configured for name, built in backends.items()},
                watch=watch,
            ),
            reserve=reserve,
            settings=settings.server,
        )
        address = await server.start()
        # What a test or a command leaves without stopping is not waited for.
        parts.push_async_callback(server.stop, grace_s=0)
        yield Gateway(address=address, server=server)


def _used(settings: Settings) -> set[str]:
    return {name for route in settings.routes.values() for name in route.backends}


def _routes(settings: Settings, backends: dict[str, Built]) -> dict[str, Route]:
    min_scores = {
        name: backend.min_score
        for name, backend in settings.backends.items()
        if backend.min_score is not None
    }
    return {
        name: Route(
            scorer=Fallback(tuple(backends[each].scorer for each in route.backends)),
            timeout_s=route.timeout_s,
            top_k=route.top_k,
            min_score=route.min_score,
            backend_min_scores=min_scores,
        )
        for name, route in settings.routes.items()
    }


async def _backend(
    name: str, settings: BackendSettings, emit: Emit, parts: AsyncExitStack
) -> Built:
    if settings.problem:
        return misconfigured(name, settings, settings.problem)
    if settings.dialect == LOCAL:
        return await local_backend(name, settings, emit, parts)
    return await http_backend(name, settings, emit, parts, transport=open_transport())
