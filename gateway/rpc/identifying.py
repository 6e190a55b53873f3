"""Find out who calls, before anything else is done for a call, and refuse who does not say."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

import grpc
from grpc.aio import ServerInterceptor, ServicerContext

from gateway.identity.caller import Caller, caller
from gateway.identity.shown import Identify, Shown
from gateway.rpc import backend_service, document_service, health, reflection
from gateway.rpc.guard import abort
from gateway.rpc.refusal import CREDENTIALS_REQUIRED, PERMISSION_DENIED
from gateway.rpc.status import to_status

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

OPENABLE: Final[Mapping[str, tuple[str, ...]]] = {
    "health": (health.SERVICE,),
    "reflection": reflection.SERVICES,
    "backends": (backend_service.SERVICE,),
}
"""By what the configuration calls it: the services that may need no credentials."""

_DOCUMENTS = document_service.SERVICE
_FOR_ADMINS = frozenset(
    {
        f"{_DOCUMENTS}/CreateCollection",
        f"{_DOCUMENTS}/DeleteCollection",
        f"{backend_service.SERVICE}/ListBackends",
        f"{backend_service.SERVICE}/CheckBackend",
    }
)
_FOR_WRITERS = frozenset(
    {f"{_DOCUMENTS}/ImportDocuments", f"{_DOCUMENTS}/DeleteDocuments"}
)

REFUSED: Final = to_status(CREDENTIALS_REQUIRED)
DENIED: Final = to_status(PERMISSION_DENIED)


class Identifying(ServerInterceptor):
    """Lets calls pass whose caller is known and may make them, and notes who it is.

    All others get one and the same refusal, whatever is wrong. It comes before it is known
    whether there is such a method.

    Args:
        identify: Tells who calls.
        open_to_all: What needs no credentials, as in `OPENABLE`.

    """

    def __init__(self, *, identify: Identify, open_to_all: frozenset[str]) -> None:
        self._identify = identify
        self._open = services_of(open_to_all)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Let one call pass, or refuse it."""
        method = handler_call_details.method.lstrip("/")
        if method.rpartition("/")[0] in self._open:
            return await continuation(handler_call_details)
        metadata = tuple(handler_call_details.invocation_metadata or ())
        who = await self._identify(Shown(metadata))
        if who is None:
            return _refusing(REFUSED)
        # gRPC runs each call, from here to its end, in one task.
        caller.set(who)
        if not may(who, method):
            return _refusing(DENIED)
        return await continuation(handler_call_details)


def services_of(open_to_all: frozenset[str]) -> frozenset[str]:
    """Give the services that may need no credentials, from what a configuration says."""
    return frozenset(
        service for each in open_to_all for service in OPENABLE.get(each, ())
    )


def may(who: Caller, method: str) -> bool:
    """Tell whether somebody may call a method, `package.Service/Method`."""
    if method in _FOR_ADMINS:
        return who.is_admin
    return who.is_admin or who.may_write or method not in _FOR_WRITERS


def _refusing(status: grpc.Status) -> _Handler:
    async def refuse(_: object, context: _Context) -> None:
        await abort(context, status)

    # As if the caller sent a stream: that is not read before somebody asks for it.
    handler: _Handler = grpc.stream_unary_rpc_method_handler(refuse)
    return handler
