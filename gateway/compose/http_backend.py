"""Build a backend behind HTTP."""

from contextlib import AsyncExitStack

from gateway.backends.dialects import DIALECTS
from gateway.backends.endpoint import locate
from gateway.backends.http import HttpScorer
from gateway.backends.transport import Transport
from gateway.compose.built import Built, built
from gateway.compose.remote import (
    credentials_of,
    facts_of,
    propagates,
    remote_leaf,
    scale_of,
    urls_of,
)
from gateway.compose.stack import Surroundings
from gateway.concurrency import in_the_background
from gateway.discovery import Discovery, over_http
from gateway.settings import BackendSettings


async def http_backend(
    name: str,
    settings: BackendSettings,
    around: Surroundings,
    parts: AsyncExitStack,
    *,
    transport: Transport,
) -> Built:
    """Begin to ask it about itself, and put the layers around it.

    Args:
        name: Its configured name.
        settings: Its configuration, which was checked.
        around: What all backends have in common.
        parts: Closes the transport and ends what is begun here.
        transport: Its sockets.

    """
    dialect = DIALECTS[settings.dialect]
    endpoints = [locate(url, dialect.path) for url in urls_of(settings, dialect)]
    facts = facts_of(settings, dialect)
    parts.push_async_callback(transport.aclose)
    headers = {**dialect.headers, **credentials_of(settings, dialect)}
    if info := dialect.info:
        for endpoint in endpoints:
            discovery = Discovery(
                backend=name,
                ask=over_http(
                    info, base_url=endpoint.base, headers=headers, transport=transport
                ),
                facts=facts,
                emit=around.emit,
            )
            await parts.enter_async_context(in_the_background(discovery.run()))
    propagate = propagates(settings, dialect)
    scorers = tuple(
        HttpScorer(
            name=name,
            dialect=dialect,
            url=endpoint.rerank,
            headers=headers,
            transport=transport,
            scale=scale_of(settings, dialect),
            facts=facts,
            model=settings.model,
            wire=around.wire(endpoint.rerank, propagate=propagate),
        )
        for endpoint in endpoints
    )
    leaf = remote_leaf(scorers, settings=settings, traits=dialect, facts=facts)
    return built(leaf, name=name, settings=settings, around=around)
