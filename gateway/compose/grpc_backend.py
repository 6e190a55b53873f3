"""Build a backend behind gRPC."""

from contextlib import AsyncExitStack

from gateway.backends.dialects import GRPC_DIALECTS
from gateway.backends.endpoint import locate_grpc
from gateway.backends.grpc import Caller, GrpcScorer, open_channel
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
from gateway.discovery import Discovery, over_grpc
from gateway.settings import BackendSettings


async def grpc_backend(
    name: str, settings: BackendSettings, around: Surroundings, parts: AsyncExitStack
) -> Built:
    """Begin to ask it about itself, and put the layers around it.

    Args:
        name: Its configured name.
        settings: Its configuration, which was checked.
        around: What all backends have in common.
        parts: Closes its channels and ends what is begun here.

    """
    dialect = GRPC_DIALECTS[settings.dialect]
    facts = facts_of(settings, dialect)
    metadata = credentials_of(settings, dialect)
    scorers = []
    for url in urls_of(settings, dialect):
        server = locate_grpc(url)
        channel = open_channel(server)
        parts.push_async_callback(channel.close)
        if info := dialect.info:
            caller = Caller(
                backend=name,
                channel=channel,
                method=info.method,
                metadata=metadata,
                refusal=dialect.refusal,
            )
            discovery = Discovery(
                backend=name,
                ask=over_grpc(info, caller=caller),
                facts=facts,
                emit=around.emit,
            )
            await parts.enter_async_context(in_the_background(discovery.run()))
        scorers.append(
            GrpcScorer(
                name=name,
                dialect=dialect,
                channel=channel,
                metadata=metadata,
                scale=scale_of(settings, dialect),
                facts=facts,
                model=settings.model,
                wire=around.wire(
                    server.url(dialect.method), propagate=propagates(settings, dialect)
                ),
            )
        )
    leaf = remote_leaf(tuple(scorers), settings=settings, traits=dialect, facts=facts)
    return built(leaf, name=name, settings=settings, around=around)
