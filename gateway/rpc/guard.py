"""Let no exception leave as text: grpc.aio would send it to the caller as it is."""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import (
    AbortError,
    BaseError,
    ServerInterceptor,
    ServicerContext,
    UsageError,
)

from gateway.errors import GatewayError, InvalidRequest, Violation
from gateway.rpc.handlers import behaviour_of, with_behaviour
from gateway.rpc.refusal import INTERNAL, Refusal, to_refusal
from gateway.rpc.status import to_status

_log = logging.getLogger(__name__)

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
_Reader: TypeAlias = Callable[[bytes], object]

_UNREADABLE = object()
"""Stands for a request whose bytes are no message of its kind."""


class Guard(ServerInterceptor):
    """Turns every exception of every handler into a status.

    What we raise on purpose becomes what `gateway.rpc.refusal` makes of it;
    anything else is a bug: INTERNAL for the caller, type and place for the log.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Wrap the handler of one call."""
        handler = await continuation(handler_call_details)
        if handler is None:  # no such method: gRPC answers UNIMPLEMENTED
            return handler
        wrap = _answering_often if handler.response_streaming else _answering_once
        return with_behaviour(
            handler,
            wrap(
                behaviour_of(handler),
                _each_readable if handler.request_streaming else _readable,
            ),
            request_deserializer=_lenient(handler.request_deserializer),
        )


def _lenient(read: _Reader | None) -> _Reader | None:
    """Read without raising: gRPC would send what is raised there to the caller."""
    if read is None:
        return None

    def read_or_mark(data: bytes) -> object:
        try:
            return read(data)
        except DecodeError:
            return _UNREADABLE

    return read_or_mark


def unreadable() -> InvalidRequest:
    """Give what to raise for a request whose bytes are no message of its kind."""
    return InvalidRequest((Violation("request", "is no message of its kind"),))


def _readable(request: object) -> object:
    if request is _UNREADABLE:
        raise unreadable()
    return request


async def _each_readable(requests: AsyncIterator[object]) -> AsyncIterator[object]:
    async for request in requests:
        yield _readable(request)


def _answering_once(
    behaviour: Callable[[object, _Context], Awaitable[object]],
    readable: Callable[[Any], object],
) -> Callable[[object, _Context], Awaitable[object]]:
    async def guarded(request: object, context: _Context) -> object:
        try:
            return await behaviour(readable(request), context)
        except Exception as error:  # noqa: BLE001 - the only place that may
            await _refuse(context, error)

    return guarded


def _answering_often(
    behaviour: Callable[[object, _Context], AsyncIterator[object] | Awaitable[object]],
    readable: Callable[[Any], object],
) -> Callable[[object, _Context], AsyncIterator[object]]:
    async def guarded(request: object, context: _Context) -> AsyncIterator[object]:
        try:
            answering = behaviour(readable(request), context)
            if isinstance(answering, Awaitable):  # it writes each answer itself
                await answering
                return
            async for response in answering:
                yield response
        except Exception as error:  # noqa: BLE001 - the only place that may
            await _refuse(context, error)

    return guarded


async def _refuse(context: _Context, error: Exception) -> NoReturn:
    if isinstance(error, AbortError):
        raise error
    if context.done() or context.cancelled() or _means_that_nobody_is_there(error):
        _end_quietly(error)
    await abort(context, to_status(refusal_of(error)))


def refusal_of(error: Exception) -> Refusal:
    """Say what an exception is to a caller.

    What we raise on purpose is what it says; anything else is a bug, of which the caller
    learns nothing and the log its type and places.
    """
    if isinstance(error, GatewayError):
        return to_refusal(error)
    # Its message may quote a document or a key, and so may the lines of its traceback
    # that show values: the log gets the type and the places alone.
    places = " < ".join(
        f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}"
        for frame in reversed(traceback.extract_tb(error.__traceback__))
    )
    _log.error("a bug: %s at %s", type(error).__name__, places)
    return INTERNAL


async def abort(context: _Context, status: grpc.Status) -> NoReturn:
    """End a call with a status, without a word in the log where nobody is there."""
    # What was set before, such as the trace's id, would be replaced.
    before = tuple(context.trailing_metadata() or ())
    trailers = tuple(status.trailing_metadata or ())
    try:
        await context.abort(
            status.code, status.details or "", trailing_metadata=(*before, *trailers)
        )
    except BaseError as error:
        if _means_that_nobody_is_there(error):
            _end_quietly(error)
        raise
    raise AssertionError  # never reached: aborting raises


def _means_that_nobody_is_there(error: Exception) -> bool:
    """Tell what gRPC raises where a caller left, or the server stopped, meanwhile."""
    ours = (AbortError, UsageError)
    return isinstance(error, BaseError) and not isinstance(error, ours)


def _end_quietly(error: Exception) -> NoReturn:
    """End a call whose caller has left: gRPC logs everything else that is raised."""
    raise asyncio.CancelledError from error
