"""Build a backend behind HTTP."""

from contextlib import AsyncExitStack

import httpx

from gateway.backends.dialects import DIALECTS
from gateway.backends.endpoint import locate
from gateway.backends.facts import Facts
from gateway.backends.http import HttpScorer
from gateway.compose.built import Built, built
from gateway.compose.stack import Leaf, Surroundings
from gateway.concurrency import in_the_background
from gateway.discovery import Discovery
from gateway.settings import BackendSettings
from gateway.settings.models import DEFAULT_TOP_K


async def http_backend(
    name: str,
    settings: BackendSettings,
    around: Surroundings,
    parts: AsyncExitStack,
    *,
    transport: httpx.AsyncBaseTransport,
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
    urls = settings.urls or (settings.url or dialect.home,)
    endpoints = [locate(url, dialect.path) for url in urls]
    facts = Facts(
        max_documents=settings.max_documents or dialect.max_documents,
        model=settings.model,
        fixed=settings.max_documents is not None,
    )
    parts.push_async_callback(transport.aclose)
    key = settings.api_key
    headers = {
        **dialect.headers,
        **(dialect.credentials(key.get_secret_value()) if key else {}),
    }
    if info := dialect.info:
        for endpoint in endpoints:
            discovery = Discovery(
                backend=name,
                base_url=endpoint.base,
                info=info,
                headers=headers,
                transport=transport,
                facts=facts,
                emit=around.emit,
            )
            await parts.enter_async_context(in_the_background(discovery.run()))
    scale = dialect.scale or settings.scale
    if scale is None:  # the settings were checked for it
        raise AssertionError(name)
    # A vendor has no use for our ids; who runs a server of their own may want to see its
    # part of a trace.
    propagate = not dialect.home if settings.propagate is None else settings.propagate
    leaf = Leaf(
        scorers=tuple(
            HttpScorer(
                name=name,
                dialect=dialect,
                url=endpoint.rerank,
                headers=headers,
                transport=transport,
                scale=scale,
                facts=facts,
                model=settings.model,
                wire=around.wire(endpoint.rerank, propagate=propagate),
            )
            for endpoint in endpoints
        ),
        facts=facts,
        scale=scale,
        listwise=settings.listwise or dialect.listwise(settings.model),
        in_flight=settings.max_in_flight or dialect.max_in_flight,
        top_k=settings.top_k or DEFAULT_TOP_K,
        top_k_found=settings.top_k or DEFAULT_TOP_K,
        max_tokens=dialect.max_tokens,
        cuts_pairs=False,
    )
    return built(leaf, name=name, settings=settings, around=around)
