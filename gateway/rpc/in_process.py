"""Serve calls that did not come over gRPC: the same handlers, behind the same interceptors.

Whatever brought a request, it is watched, refused and answered by one piece of code.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Never, cast

import grpc
from grpc.aio import AbortError, ServerInterceptor

from gateway.rpc.handlers import Handler, behaviour_of

Metadata = tuple[tuple[str, str | bytes], ...]


@dataclass(frozen=True, slots=True)
class Details(grpc.HandlerCallDetails):
    """What is known of a call before its message is read."""

    method: str
    """`/package.Service/Method`."""
    invocation_metadata: Metadata
    face: str
    """Whose API the caller speaks, such as `tei`; `bare` where several share a path."""


@dataclass(slots=True)
class Incoming:
    """A request that is read where it is served."""

    message: object = None
    """None: it was not read yet, or could not be."""


@dataclass(slots=True)
class Context:
    """Stands in for gRPC's context of a call, as far as our services look at it.

    Args:
        details: What is known of the call.
        sender: Who sent it, as gRPC writes it: `ipv4:127.0.0.1:4711`.
        deadline: When the caller stops waiting, in event-loop seconds; None: never.
        certificate: Of the connection, in DER; empty: none was shown.

    """

    details_of_call: Details
    sender: str
    deadline: float | None
    certificate: bytes = b""
    _status: grpc.StatusCode = grpc.StatusCode.OK
    _message: str = ""
    _trailers: Metadata = field(default=())

    def invocation_metadata(self) -> Metadata:
        """Give what the caller sent beside the message."""
        return self.details_of_call.invocation_metadata

    def peer(self) -> str:
        """Name the sender."""
        return self.sender

    def time_remaining(self) -> float | None:
        """Give what is left of the caller's time, in seconds."""
        if self.deadline is None:
            return None
        return self.deadline - asyncio.get_running_loop().time()

    def set_trailing_metadata(self, trailers: Sequence[tuple[str, str]]) -> None:
        """Set what goes back beside the message."""
        self._trailers = tuple(trailers)

    def trailing_metadata(self) -> Metadata:
        """Give what goes back beside the message."""
        return self._trailers

    def code(self) -> grpc.StatusCode:
        """Give the status."""
        return self._status

    def details(self) -> str:
        """Give the status in words."""
        return self._message

    def done(self) -> bool:
        """Tell whether the call is over: whoever asks is a part of it."""
        return False

    def cancelled(self) -> bool:
        """Tell whether the caller left; who serves a call that it left is cancelled."""
        return False

    async def abort(
        self,
        code: grpc.StatusCode,
        details: str = "",
        trailing_metadata: Metadata = (),
    ) -> Never:
        """End the call with a status.

        Raises:
            AbortError: Always.

        """
        self._status = code
        self._message = details
        self._trailers = trailing_metadata
        raise AbortError


class Handlers:
    """Takes services as a server does, and finds the handler of a method."""

    def __init__(self) -> None:
        self._services: list[Any] = []

    def add_generic_rpc_handlers(self, services: Sequence[Any]) -> None:
        """Take services."""
        self._services.extend(services)

    def add_registered_method_handlers(self, service: str, _: object) -> None:
        """Take nothing: whatever is registered was given as a service before."""

    def of(self, method: str) -> Handler:
        """Give the handler of a method.

        Args:
            method: `/package.Service/Method`.

        Raises:
            LookupError: Nobody has it.

        """
        handler = self.find(Details(method, (), ""))
        if handler is None:
            raise LookupError(method)
        return handler

    def find(self, details: grpc.HandlerCallDetails) -> "Handler | None":
        """Give the handler of a call; None: nobody has it."""
        for service in self._services:
            handler: Handler | None = service.service(details)
            if handler:
                return handler
        return None


class InProcess:
    """Lets calls pass the interceptors.

    Args:
        interceptors: Those of the gRPC server, the outermost one first.

    """

    def __init__(self, interceptors: Sequence[ServerInterceptor]) -> None:
        self._interceptors = interceptors

    async def enter(self, details: Details, handler: Handler) -> "Entered":
        """Ask every interceptor about one call.

        Args:
            details: What is known of the call.
            handler: Serves it in the end.

        """

        async def beyond(place: int, of_call: Any) -> Any:  # noqa: ANN401 - gRPC's details
            if place == len(self._interceptors):
                return handler
            return await self._interceptors[place].intercept_service(
                lambda inner: beyond(place + 1, inner), of_call
            )

        return Entered(await beyond(0, details))


class Entered:
    """A call that passed the interceptors, or was refused by one of them."""

    def __init__(self, handler: Handler) -> None:
        self._behaviour = behaviour_of(handler)
        self.wants_request = not handler.request_streaming
        """Whether the request is to be read: a refused one is not worth it."""

    async def serve(self, request: Incoming, context: Context) -> object:
        """Serve it.

        Raises:
            AbortError: It ends with the status that `context` has.

        """
        return await self._behaviour(request, cast("Any", context))
