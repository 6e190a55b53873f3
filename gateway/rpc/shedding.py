"""Refuse new calls while the process has more than it can do, before they cost anything."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, cast

import grpc
from grpc.aio import ServerInterceptor, ServicerContext

from gateway.rpc.guard import abort
from gateway.rpc.refusal import overloaded
from gateway.rpc.status import to_status

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"


class Shedding(ServerInterceptor):
    """Refuses calls beyond a bound, and while the event loop is late.

    RESOURCE_EXHAUSTED, with the reason SERVER_OVERLOADED. It stands before all that does
    anything with a call: what is refused is not even read.

    Args:
        max_calls: In flight in this process.
        max_lag_s: The loop may be so late.
        lag_s: Tells how late the loop is.
        exempt: Services whose calls are neither refused nor counted: operators need them
            most under load, and health is watched with streams that never end.

    """

    def __init__(
        self,
        *,
        max_calls: int,
        max_lag_s: float,
        lag_s: Callable[[], float],
        exempt: frozenset[str],
    ) -> None:
        self._max_calls = max_calls
        self._max_lag_s = max_lag_s
        self._lag_s = lag_s
        self._exempt = exempt
        self._calls = 0

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Let one call pass and count it, or refuse it."""
        service = handler_call_details.method.rpartition("/")[0].lstrip("/")
        if service in self._exempt:
            return await continuation(handler_call_details)
        if self._is_full():
            limit = str(self._max_calls)
            return _refusing(f"{limit} calls are in flight", limit=limit)
        lag_s = self._lag_s()
        if lag_s > self._max_lag_s:
            late, limit = f"{lag_s:.2f}", f"{self._max_lag_s:g}"
            message = f"this process is {late} s late, and {limit} s are the limit"
            return _refusing(message, lag_s=late, limit_s=limit)
        self._count()
        return await continuation(handler_call_details)

    def limit(self, *, max_calls: int, max_lag_s: float) -> None:
        """Refuse by other limits from now on."""
        self._max_calls = max_calls
        self._max_lag_s = max_lag_s

    @property
    def calls(self) -> int:
        """Calls in flight that count."""
        return self._calls

    def has_room(self) -> bool:
        """Tell whether a new call would be served."""
        return not self._is_full() and self._lag_s() <= self._max_lag_s

    def more(self) -> None:
        """Count what is no call, and costs as much."""
        self._calls += 1

    def less(self) -> None:
        """Count one of these less."""
        self._calls -= 1

    def _is_full(self) -> bool:
        return self._calls >= self._max_calls

    def _count(self) -> None:
        # gRPC runs each call, from here to its end, in one task. A handler would not do
        # to count in: a caller who leaves while his message is read never gets there.
        task = cast("asyncio.Task[Any]", asyncio.current_task())
        self.more()
        task.add_done_callback(lambda _: self.less())


def _refusing(message: str, **metadata: str) -> _Handler:
    status = to_status(overloaded(message, metadata))

    async def refuse(_: object, context: _Context) -> None:
        await abort(context, status)

    # As if the caller sent a stream: that is not read before somebody asks for it.
    handler: _Handler = grpc.stream_unary_rpc_method_handler(refuse)
    return handler
