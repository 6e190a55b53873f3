"""Ask a gateway as any caller would: one that runs, or one of our own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc
import grpc.aio

from gateway.cli.channels import channel_to, in_words, known
from gateway.cli.configuration import configured
from gateway.cli.failing import FAILURE, MISTAKE, fail
from gateway.cli.handshake import Unreachable
from gateway.cli.options import Options
from gateway.cli.reaching import Reach, reach_of
from gateway.settings import Settings, SettingsError, load, load_what_is_right

T = TypeVar("T")

_USERS_MISTAKES = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED,
)


def asked(
    options: Options,
    ask: Callable[[grpc.aio.Channel], Awaitable[T]],
    *,
    searches: bool = True,
) -> T:
    """Connect, ask, and end the command in one line where that fails.

    Args:
        options: Which gateway: one that is running, or the configuration of our own.
        ask: Given a channel, gives the answer.
        searches: It needs collections; without them a gateway of our own starts sooner.

    """
    asks = asked_gateway(options, searches=searches)

    async def connect_and_ask() -> T:
        async with opened(asks) as channel:
            return await ask(channel)

    return answered(connect_and_ask(), asks)


def asked_gateway(options: Options, *, searches: bool = True) -> Settings | Reach:
    """Give the configuration of a gateway of our own, or the way to another one.

    A command ends with every problem there is.
    """
    if options.address:
        reach = reach_of(options, _to_ask_by(options.config))
        try:
            return known(reach)
        except Unreachable as error:
            fail(f"{reach.place}: UNAVAILABLE: {error}")
    if options.wants_tls:
        fail("--address: is required with options of TLS", MISTAKE)
    private = configured(options.config).private
    return private if searches else private.reranking_only


def _to_ask_by(config: Path | None) -> Settings:
    """Read what is of use to ask another gateway, or end the command with what is wrong.

    The rest is not ours to judge: an image that serves nobody here may ask as well.
    """
    try:
        return load(config)
    except SettingsError as error:
        whole = f"{config}:"
        for problem in error.problems:
            if problem.startswith(("client.", whole)):
                fail(problem, MISTAKE)
        return load_what_is_right(config)


def answered(asking: Coroutine[Any, Any, T], *asks: Settings | Reach) -> T:
    """Run it, and end the command in one line where a gateway refuses.

    Args:
        asking: Calls one of these.
        asks: What `asked_gateway` gave.

    """
    try:
        return asyncio.run(asking)
    except grpc.RpcError as error:
        mistake = error.code() in _USERS_MISTAKES
        ways = [each for each in asks if isinstance(each, Reach)]
        said = in_words(error.code(), error.details(), ways)
        fail(said, MISTAKE if mistake else FAILURE)


@asynccontextmanager
async def opened(asks: Settings | Reach) -> AsyncIterator[grpc.aio.Channel]:
    """Connect; a gateway of our own lives as long as the channel.

    Args:
        asks: What `asked_gateway` gave.

    """
    if isinstance(asks, Settings):
        from gateway.compose import gateway
        from gateway.logs import EventLog

        async with (
            gateway(asks, EventLog()) as running,
            channel_to(Reach(place=running.address)) as channel,
        ):
            yield channel
        return
    async with channel_to(asks) as channel:
        yield channel
