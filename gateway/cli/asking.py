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
from gateway.settings import Settings

T = TypeVar("T")

AddressOption = Annotated[
    str | None,
    typer.Option(
        "--address",
        help="HOST:PORT of a gateway that is running; otherwise one is started.",
        show_default=False,
    ),
]

_USERS_MISTAKES = (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


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
    settings = None if address else configured(config, address="127.0.0.1:0")
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
            _channel(None, running.address) as channel,
        ):
            yield channel
        return
    async with grpc.aio.insecure_channel(
        address, options=[("grpc.max_receive_message_length", -1)]
    ) as channel:
        yield channel
