"""See every call to its end: what it was, how it ended, and how long it took.

The outermost interceptor, so that what the others refuse is seen as well. It knows the
status that the caller gets, also where the caller leaves or its time is over.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack, aclosing
from types import TracebackType
from typing import Any, Self, TypeAlias, cast

import grpc
from grpc.aio import AbortError, ServerInterceptor, ServicerContext

from gateway.events import Emit
from gateway.identity.caller import caller
from gateway.observing import Answering, Call, CallEnd, Observer, trace_id
from gateway.rpc.call_lines import call_ended, last_of
from gateway.rpc.debugging import METADATA as DEBUG
from gateway.rpc.debugging import asks_for_debug, debug_words
from gateway.rpc.handlers import Handler, behaviour_of, with_behaviour
from gateway.rpc.in_process import Details, Incoming
from gateway.rpc.written import Written

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
_Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

TRACE_ID = "x-trace-id"
"""Trailing metadata of a call that is traced."""

_NO_SUCH_METHOD = "_OTHER"

# The loop's own clock would do, were it not for uvloop, which looks at it once a turn.
_now = time.perf_counter


class Calls(ServerInterceptor):
    """Watches calls, and lets them be.

    Args:
        observer: Watches each call.
        emit: Told how each call ended.
        methods: All that there are, `package.Service/Method`: another name is the caller's,
            and could be anything.
        exempt: Services whose calls are not watched: they are made by machines, every few
            seconds or without end.
        allow_debug: Whether a caller may ask to be told how its answer came about.

    """

    def __init__(
        self,
        *,
        observer: Observer,
        emit: Emit,
        methods: frozenset[str],
        exempt: frozenset[str],
        allow_debug: bool,
    ) -> None:
        self._observer = observer
        self._emit = emit
        self._methods = methods
        self._exempt = exempt
        self.allow_debug = allow_debug
        """Whether a caller may ask; may be changed at any time."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler:
        """Wrap the handler of one call."""
        method = handler_call_details.method.lstrip("/")
        metadata: _Metadata = tuple(handler_call_details.invocation_metadata or ())
        if method.rpartition("/")[0] in self._exempt:
            return await continuation(handler_call_details)
        handler = await continuation(handler_call_details)
        began = _now()
        if method not in self._methods:
            # Also where the call is refused before anybody looks for it.
            method = _NO_SUCH_METHOD
        if handler is None:
            # gRPC answers without asking us any more.
            with self._observer.call(Call(method, metadata)) as watching:
                watching.ended(CallEnd("UNIMPLEMENTED", 0.0))
            self._emit(call_ended(method, "UNIMPLEMENTED", 0.0))
            return None
        debug = self.allow_debug and asks_for_debug(metadata)
        details = handler_call_details

        def watched(context: _Context) -> _Watched:
            return _Watched(
                Call(
                    method,
                    metadata,
                    streams=handler.response_streaming,
                    debug=debug,
                    face=details.face if isinstance(details, Details) else "",
                    tenant=caller.get().tenant,
                ),
                context,
                began=began,
                observer=self._observer,
                emit=self._emit,
                debug=debug,
            )

        if handler.response_streaming:
            return _often(handler, watched)
        return _once(handler, watched)


class _Watched:
    """One call, from its handler's begin to its end."""

    def __init__(
        self,
        call: Call,
        context: _Context,
        *,
        began: float,
        observer: Observer,
        emit: Emit,
        debug: bool,
    ) -> None:
        self._call = call
        self._context = context
        self._began = began
        self._observer = observer
        self._emit = emit
        self._debug = debug
        self._stack = ExitStack()
        self._last: object = None
        self._watching: Answering

    def __enter__(self) -> Self:
        self._watching = self._stack.enter_context(self._observer.call(self._call))
        if traced := trace_id.get():
            self._add_trailer((TRACE_ID, traced))
        return self

    def answered(self, request: object, response: object) -> None:
        """Look at a message that goes to the caller."""
        self._last = last_of(self._last, response)
        seen = response.answer if isinstance(response, Written) else response
        asked = request.message if isinstance(request, Incoming) else request
        self._watching.answered(asked, seen)
        if self._debug:
            self._add_trailer(*((DEBUG, line) for line in debug_words(response)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        status = status_of(error, self._context)
        duration_s = _now() - self._began
        # First: its line names the trace, which is over after that.
        self._emit(
            call_ended(
                self._call.method,
                status,
                duration_s,
                self._last,
                face=self._call.face,
                tenant=self._call.tenant,
            )
        )
        self._watching.ended(CallEnd(status, duration_s))
        self._stack.close()

    def _add_trailer(self, *more: tuple[str, str]) -> None:
        trailer = tuple(self._context.trailing_metadata() or ())
        self._context.set_trailing_metadata((*trailer, *more))


class _Heard:
    """A context by which a handler may write its answers itself, and they are seen."""

    def __init__(self, context: _Context, watching: _Watched, request: object) -> None:
        self._context = context
        self._watching = watching
        self._request = request

    def __getattr__(self, name: str) -> object:
        return getattr(self._context, name)

    async def write(self, response: object) -> None:
        self._watching.answered(self._request, response)
        await self._context.write(response)


_BY_NUMBER = {code.value[0]: code.name for code in grpc.StatusCode}


def status_of(error: BaseException | None, context: _Context) -> str:
    """Name the status that the caller sees.

    Args:
        error: By which the call ended; None: it was answered.
        context: Of the call.

    """
    if error is None:
        return "OK"
    if isinstance(error, AbortError):
        code = context.code()
        return code.name if isinstance(code, grpc.StatusCode) else _BY_NUMBER[code]
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        left_s = context.time_remaining()
        over = left_s is not None and left_s <= 0
        return "DEADLINE_EXCEEDED" if over else "CANCELLED"
    return "UNKNOWN"


def _once(handler: Handler, watched: Callable[[_Context], _Watched]) -> _Handler:
    behaviour = behaviour_of(handler)

    async def answer(request: object, context: _Context) -> object:
        with watched(context) as watching:
            response = await behaviour(request, context)
            watching.answered(request, response)
            return response

    return with_behaviour(
        handler, answer, request_deserializer=handler.request_deserializer
    )


def _often(handler: Handler, watched: Callable[[_Context], _Watched]) -> _Handler:
    behaviour = behaviour_of(handler)

    async def answer(request: object, context: _Context) -> AsyncIterator[object]:
        with watched(context) as watching:
            # A generator of ours: what a caller who leaves leaves behind is ended here.
            heard = cast("_Context", _Heard(context, watching, request))
            async with aclosing(behaviour(request, heard)) as responses:
                async for response in responses:
                    watching.answered(request, response)
                    yield response

    return with_behaviour(
        handler, answer, request_deserializer=handler.request_deserializer
    )
