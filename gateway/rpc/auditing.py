"""Note every call that administers: who made it, on what, and how it ended.

What is not allowed, or is refused for another reason, is noted as well.
"""

import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sized
from contextlib import aclosing, contextmanager
from typing import Any, Final, TypeAlias

import grpc
from grpc.aio import ServerInterceptor, ServicerContext

from gateway.events import Administered, Emit
from gateway.identity.caller import caller
from gateway.rpc import backend_service, document_service
from gateway.rpc.calls import status_of
from gateway.rpc.handlers import Handler, behaviour_of, with_behaviour
from gateway.rpc.in_process import Incoming

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

_ADMINISTERS: Final = frozenset(
    {
        f"{document_service.SERVICE}/ImportDocuments",
        f"{document_service.SERVICE}/DeleteDocuments",
        f"{document_service.SERVICE}/CreateCollection",
        f"{document_service.SERVICE}/DeleteCollection",
        f"{backend_service.SERVICE}/CheckBackend",
    }
)
"""What changes something for all, or costs money with a vendor."""

# Of collections and backends: what is no such name may be any text.
_NAME = re.compile(r"[a-z][a-z0-9_/]{0,80}")


class Auditing(ServerInterceptor):
    """Tells of calls that administer, and lets them be.

    Outside of all that refuses calls.

    Args:
        emit: Told of each, at its end.

    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Wrap the handler of one call, if it is one of these."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method.lstrip("/")
        if handler is None or method not in _ADMINISTERS:
            return handler
        wrap = self._often if handler.response_streaming else self._once
        return with_behaviour(
            handler,
            wrap(handler, method),
            request_deserializer=handler.request_deserializer,
        )

    def _once(self, handler: Handler, method: str) -> Callable[..., Awaitable[object]]:
        behaviour = behaviour_of(handler)

        async def answer(request: object, context: _Context) -> object:
            with self._noted(method, request, context) as seen:
                return await behaviour(seen.request, context)

        return answer

    def _often(
        self, handler: Handler, method: str
    ) -> Callable[..., AsyncIterator[object]]:
        behaviour = behaviour_of(handler)

        async def answer(request: object, context: _Context) -> AsyncIterator[object]:
            with self._noted(method, request, context) as seen:
                async with aclosing(behaviour(seen.request, context)) as responses:
                    async for response in responses:
                        yield response

        return answer

    @contextmanager
    def _noted(
        self, method: str, request: object, context: _Context
    ) -> Iterator["_Seen"]:
        began = time.perf_counter()
        seen = _Seen(request)
        error: BaseException | None = None
        try:
            yield seen
        except BaseException as raised:
            error = raised
            raise
        finally:
            seen.look()
            who = caller.get()
            self._emit(
                Administered(
                    action=method,
                    on=seen.on,
                    count=seen.count,
                    outcome=status_of(error, context),
                    duration_s=time.perf_counter() - began,
                    tenant=who.tenant,
                    key=who.key,
                    peer=context.peer(),
                )
            )


class _Seen:
    """What a call brings, as far as it may be told."""

    def __init__(self, request: object) -> None:
        self.on = ""
        """The name of a collection or a backend; empty: none was read, or it is no name."""
        self.count = 0
        """Of documents, or of ids of such."""
        self._asked = request
        self.request = (
            self._each(request) if isinstance(request, AsyncIterator) else request
        )

    async def _each(self, requests: AsyncIterator[object]) -> AsyncIterator[object]:
        async for request in requests:
            self._take(request)
            yield request

    def look(self) -> None:
        """Look at the request, which over HTTP is read only by whoever serves it."""
        asked = self._asked
        self._take(asked.message if isinstance(asked, Incoming) else asked)

    def _take(self, request: object) -> None:
        for field in ("collection", "name"):
            name = getattr(request, field, None)
            if not self.on and isinstance(name, str) and _NAME.fullmatch(name):
                self.on = name
        for field in ("documents", "ids"):
            brought = getattr(request, field, None)
            if isinstance(brought, Sized):
                self.count += len(brought)
