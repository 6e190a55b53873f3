"""Call again where a gateway is away for a moment."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import grpc
import grpc.aio

T = TypeVar("T")

_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each attempt after one that found nobody; then it is a failure."""

_PASSING = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


async def patiently(
    call: Callable[[], Awaitable[T]],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> T:
    """Call, up to six times; what is called has to be safe to repeat.

    Raises:
        grpc.RpcError: As the gateway answers, or it stays away.

    """
    for wait_s in _WAITS_S:
        try:
            return await call()
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING:
                raise
        await sleep(wait_s)
    return await call()
