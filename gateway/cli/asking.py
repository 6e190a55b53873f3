"""Ask a gateway as any caller would: one that runs, or one of our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, TypeVar

import grpc
import typer

from gateway.cli.configuration import configured
from gateway.cli.failing import FAILURE, MISTAKE, fail
from gateway.settings import Settings, Ticket, ticket
from gateway.settings.identity_checks import is_loopback

T = TypeVar("T")

AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="HOST:PORT of a gateway that is running, grpcs://HOST:PORT for TLS; "
        "otherwise one is started. RERANK_GATEWAY_KEY holds the key to show, and "
        "RERANK_GATEWAY_CA a PEM file of authorities to trust.",
        show_default=False,
    ),
]

_NOTHING = Ticket("", None)
_SECURE = "grpcs://"
_USERS_MISTAKES = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
)


def asked(
    config: Path | None,
    address: str | None,
    ask: Callable[[grpc.aio.Channel], Awaitable[T]],
    *,
    searches: bool = True,
) -> T:
    """Connect, ask, and end the command in one line where that fails.

    Args:
        config: The configuration of a gateway of our own.
        address: Of one that is running; it is asked instead.
        ask: Given a channel, gives the answer.
        searches: It needs collections; without them a gateway of our own starts sooner.

    """
    settings = None if address else configured(config).private
    if settings and not searches:
        settings = settings.reranking_only

    async def connect_and_ask() -> T:
        async with _channel(settings, address or "") as channel:
            return await ask(channel)

    try:
        return asyncio.run(connect_and_ask())
    except grpc.RpcError as error:
        mistake = error.code() in _USERS_MISTAKES
        fail(f"{error.code().name}: {error.details()}", MISTAKE if mistake else FAILURE)


@asynccontextmanager
async def _channel(
    settings: Settings | None, address: str
) -> AsyncIterator[grpc.aio.Channel]:
    if settings is not None:
        from gateway.compose import gateway
        from gateway.logs import EventLog

        async with (
            gateway(settings, EventLog()) as running,
            _open(running.address, _NOTHING) as channel,
        ):
            yield channel
        return
    async with _open(address, ticket()) as channel:
        yield channel


def _open(address: str, shown: Ticket) -> grpc.aio.Channel:
    """Connect, and show the key that there is with each call.

    Nobody on the way is to read it: without TLS it goes to this machine alone.
    """
    options = [("grpc.max_receive_message_length", -1)]
    place = address.removeprefix(_SECURE)
    credentials: grpc.ChannelCredentials | None = None
    if place != address:
        credentials = grpc.ssl_channel_credentials(_authorities(shown.authorities))
    elif shown.key:
        if not is_loopback(place.rpartition(":")[0].strip("[]")):
            fail(
                f"RERANK_GATEWAY_KEY is sent over TLS alone: {_SECURE}{place}", MISTAKE
            )
        credentials = grpc.local_channel_credentials()
    if credentials is None:
        return grpc.aio.insecure_channel(place, options)
    if shown.key:
        credentials = grpc.composite_channel_credentials(
            credentials, grpc.access_token_call_credentials(shown.key)
        )
    return grpc.aio.secure_channel(place, credentials, options)


def _authorities(file: Path | None) -> bytes | None:
    if file is None:
        return None
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"RERANK_GATEWAY_CA: cannot read {file}: {error.strerror}", MISTAKE)
