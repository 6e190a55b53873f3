"""Ask a gateway as any caller would: one that runs, or one of our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

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
    asks = asked_gateway(config, address, searches=searches)

    async def connect_and_ask() -> T:
        async with channel_to(asks) as channel:
            return await ask(channel)

    return answered(connect_and_ask())


def asked_gateway(
    config: Path | None, address: str | None, *, searches: bool = True
) -> Settings | str:
    """Give the configuration of a gateway of our own, or the address of another one.

    A command ends with every problem there is.
    """
    if address:
        return address
    settings = configured(config, address="127.0.0.1:0")
    return settings if searches else settings.reranking_only


def answered(asking: Coroutine[Any, Any, T]) -> T:
    """Run it, and end the command in one line where a gateway refuses."""
    try:
        return asyncio.run(asking)
    except grpc.RpcError as error:
        mistake = error.code() in _USERS_MISTAKES
        fail(f"{error.code().name}: {error.details()}", MISTAKE if mistake else FAILURE)


@asynccontextmanager
async def channel_to(asks: Settings | str) -> AsyncIterator[grpc.aio.Channel]:
    """Connect; a gateway of our own lives as long as the channel.

    Args:
        asks: What `asked_gateway` gave.

    """
    if isinstance(asks, Settings):
        from gateway.compose import gateway
        from gateway.logs import EventLog

        async with (
            gateway(asks, EventLog()) as running,
            channel_to(running.address) as channel,
        ):
            yield channel
        return
    async with grpc.aio.insecure_channel(
        asks, options=[("grpc.max_receive_message_length", -1)]
    ) as channel:
        yield channel
