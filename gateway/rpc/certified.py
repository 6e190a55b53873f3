"""Find out whose certificate a call came with.

gRPC tells that with the call itself, and not yet to the interceptors that choose who serves
it, as it tells them what else a caller shows. So two look at the call as it begins: the
outermost one notes who it is, that all who watch may know; and one in the place of
`Identifying` refuses.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from typing import Any, Final, TypeAlias

import grpc
from grpc.aio import ServerInterceptor, ServicerContext

from gateway.identity.caller import ANYBODY, STRANGER, caller
from gateway.identity.shown import Identify, Shown
from gateway.rpc.guard import abort
from gateway.rpc.handlers import Handler, behaviour_of, with_behaviour
from gateway.rpc.identifying import DENIED, REFUSED, may, services_of
from gateway.rpc.in_process import Context

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
_First: TypeAlias = "Callable[[_Context], Awaitable[None]]"

_CERTIFICATE: Final = "x509_pem_cert"


class NotingCertificate(ServerInterceptor):
    """Notes who calls, first of all, and lets every call pass.

    Args:
        identify: Tells who calls.

    """

    def __init__(self, identify: Identify) -> None:
        self._identify = identify

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Have one call begin with that."""
        handler = await continuation(handler_call_details)
        return handler and _beginning_with(self._note, handler)

    async def _note(self, context: _Context) -> None:
        who = await self._identify(Shown(certificate=_certificate_of(context)))
        # gRPC runs each call, from here to its end, in one task.
        caller.set(who or STRANGER)


class IdentifyingByCertificate(ServerInterceptor):
    """Lets calls pass whose caller was noted, and may make them.

    All others get one and the same refusal, as of `Identifying`; also where there is no such
    method.

    Args:
        open_to_all: What may be called by whoever has a certificate, as in `OPENABLE`.

    """

    def __init__(self, *, open_to_all: frozenset[str]) -> None:
        self._open = services_of(open_to_all)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Let one call pass, or refuse it."""
        method = handler_call_details.method.lstrip("/")
        handler = await continuation(handler_call_details)
        if method.rpartition("/")[0] in self._open:
            return handler

        async def refuse(context: _Context) -> None:
            who = caller.get()
            # Anybody is who was not even looked at.
            if who is STRANGER or who is ANYBODY:
                await abort(context, REFUSED)
            if not may(who, method):
                await abort(context, DENIED)

        return _beginning_with(refuse, handler or _NO_SUCH_METHOD)


async def _unimplemented(_: object, context: _Context) -> None:
    # In gRPC's own words.
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "Method not found!")


_NO_SUCH_METHOD: Final[Handler] = grpc.stream_unary_rpc_method_handler(_unimplemented)


def _certificate_of(context: _Context) -> bytes:
    if isinstance(context, Context):
        return context.certificate
    shown: Mapping[str, Iterable[bytes]] = context.auth_context()
    return next(iter(shown.get(_CERTIFICATE, ())), b"")


def _beginning_with(first: _First, handler: Handler) -> Handler:
    """Give the same handler, before which something is done with the context."""
    behaviour = behaviour_of(handler)

    async def once(request: object, context: _Context) -> object:
        await first(context)
        return await behaviour(request, context)

    async def often(request: object, context: _Context) -> AsyncIterator[object]:
        await first(context)
        answering = behaviour(request, context)
        if isinstance(answering, Awaitable):  # it writes each answer itself
            await answering
            return
        async with aclosing(answering) as responses:
            async for response in responses:
                yield response

    return with_behaviour(
        handler,
        often if handler.response_streaming else once,
        request_deserializer=handler.request_deserializer,
    )
