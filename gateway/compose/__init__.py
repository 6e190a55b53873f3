"""Settings become running parts: who holds whom."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from gateway.compose.identity import entrance
from gateway.compose.lasting import Lasting
from gateway.compose.memories import NO_MEMORIES
from gateway.compose.metering import metering, other_limits
from gateway.compose.reloading import Changing, expect
from gateway.compose.retrieval import retriever
from gateway.compose.serving import Serving, serving
from gateway.compose.stack import Leaf, Surroundings, stack
from gateway.events import Emit, each_of
from gateway.inspecting import Watch
from gateway.reloading.change import Prepare, all_or_nothing
from gateway.reloading.generations import Current
from gateway.server import Server, check_free
from gateway.settings import Settings
from gateway.settings.dividing import divided
from gateway.siblings import ALONE, Siblings
from gateway.telemetry.running import telemetry

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
    prepare: Prepare
    """Builds what other settings want, those of all processes, to be put in place."""
    tell: Emit
    """Tells an event to all who listen."""
    count: Emit
    """Tells an event to those who count, and writes no line."""
    current: Current[Serving]
    """What serves now."""
    lasting: Lasting
    """What runs for it, and for what served before."""

    def backends(self) -> bytes:
        """Give what this process knows of backends, as it goes over the wire."""
        return self.current.now.services.backends()


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
        door, other_keys = await entrance(settings, parts)
        # Last to end but that: it tells of the end of all the others.
        told = await parts.enter_async_context(
            telemetry(
                settings.telemetry,
                siblings=siblings,
                secure=door.metrics.context() if door.metrics else None,
            )
        )
        tell = each_of(emit, *told.listeners)
        lasting = Lasting(
            told=told,
            tell=tell,
            watch=watch,
            entrance=door,
            retriever=await retriever(settings.retrieval, parts),
            metering=await metering(
                settings, siblings=siblings, emit=tell, parts=parts
            ),
            siblings=siblings,
            chance=Random(),  # noqa: S311 - for pauses, no secrets
        )
        server = Server(
            settings=settings.server,
            observer=told.observer,
            emit=tell,
            entrance=door,
            siblings=siblings,
            http=settings.http,
        )
        current = await _begun(settings, lasting, server)
        parts.push_async_callback(current.aclose)
        changing = Changing(lasting, server, current)
        told.instruments.watch_server(
            lag_s=server.lag_s, in_flight=lambda: server.in_flight
        )
        address = await server.start(current.enter)
        # What a test or a command leaves without stopping is not waited for.
        parts.push_async_callback(server.stop, grace_s=0)
        yield Gateway(
            address=address,
            server=server,
            http_address=server.http_address,
            metrics_address=told.metrics_address,
            numbers=told.instruments.numbers,
            # What else a reload replaces is added here.
            prepare=all_or_nothing(
                other_keys,
                other_limits(lasting.metering, siblings),
                changing.prepare,
            ),
            tell=tell,
            count=each_of(*told.listeners),
            current=current,
            lasting=lasting,
        )


async def _begun(
    settings: Settings, lasting: Lasting, server: Server
) -> Current[Serving]:
    """Build what serves first, which nobody else may hold: it lives until it is replaced."""
    async with AsyncExitStack() as parts:
        first = await serving(settings, lasting, server, parts)
        current = Current(first, parts.pop_all().aclose)
    first.announce()
    expect(lasting, first)
    return current
