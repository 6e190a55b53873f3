"""One call from a coroutine: its deadline, its metadata, its error, and its end."""

import asyncio
import contextlib
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Coroutine,
    Iterable,
)
from typing import Any, TypeVar

import grpc
from grpc import aio

from rerank_client.connection import Connection
from rerank_client.errors import from_rpc
from rerank_client.service_config import CALL_TIMEOUT_S

Q = TypeVar("Q")
A = TypeVar("A")


class AsyncCalls:
    """The calls over one channel, which belongs to the event loop that opened it."""

    def __init__(self, connection: Connection) -> None:
        self.channel = connection.open_aio()
        self._connection = connection

    async def close(self) -> None:
        """Cancel the calls that are open, and close the channel."""
        await self.channel.close()

    async def ask(
        self,
        method: "aio.UnaryUnaryMultiCallable[Q, A]",
        request: Q,
        timeout_s: float | None,
        *,
        default_s: float = CALL_TIMEOUT_S,
    ) -> A:
        """Ask once, and wait for the answer."""
        timeout_s = self._connection.timeout_of_call(timeout_s, default_s=default_s)
        metadata = self._connection.call_metadata()
        try:
            return await method(request, timeout=timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise from_rpc(error) from error

    async def follow(
        self,
        method: "aio.UnaryStreamMultiCallable[Q, A]",
        request: Q,
        timeout_s: float | None,
    ) -> AsyncGenerator[A]:
        """Ask once, and yield the answers as they come."""
        timeout_s = self._connection.timeout_of_call(
            timeout_s, default_s=CALL_TIMEOUT_S
        )
        metadata = self._connection.call_metadata()
        call = method(request, timeout=timeout_s, metadata=metadata)
        try:
            async for answer in call:
                yield answer
        except grpc.RpcError as error:
            raise from_rpc(error) from error
        finally:
            # Whoever stops reading has left: nothing more is to be done for them.
            call.cancel()

    async def exchange(
        self,
        method: "aio.StreamStreamMultiCallable[Q, A]",
        requests: AsyncIterable[Q],
        timeout_s: float | None,
    ) -> AsyncGenerator[A]:
        """Ask many times over one stream, and yield the answers as they come."""
        timeout_s = self._connection.timeout_of_stream(timeout_s)
        metadata = self._connection.call_metadata()
        call = method(timeout=timeout_s, metadata=metadata)
        ending = _Ending(call)
        writing = asyncio.create_task(_write(call, requests))
        try:
            async for answer in call:
                yield answer
        except grpc.RpcError:
            if (error := await ending.error()) is not None:
                raise from_rpc(error) from error
        except asyncio.CancelledError:
            # Either the task that reads the answers is cancelled, or the call is, since
            # the requests could not be read; then that is the error.
            if not _cancelled():
                _raise_failure(writing)
            raise
        else:
            _raise_failure(writing)
        finally:
            call.cancel()
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


def _raise_failure(writing: "asyncio.Task[None]") -> None:
    """Raise what kept the requests from being read, if anything did."""
    if writing.done() and not writing.cancelled():
        writing.result()


def _cancelled() -> bool:
    """Tell whether somebody wants the current task to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class _Ending:
    """What a call ended with.

    When the server ends a call while a message is being sent, grpc.aio reports INTERNAL,
    before the server's own status or in its place. Both pass by here.
    """

    def __init__(self, call: "aio.StreamStreamCall[Q, A]") -> None:
        self._error: aio.AioRpcError | None = None
        self._ended = asyncio.Event()
        call.add_done_callback(self._note)

    async def error(self) -> aio.AioRpcError | None:
        """Wait for the server's status; None: it was OK."""
        await self._ended.wait()
        return self._error

    def _note(self, call: "aio.StreamStreamCall[Q, A]") -> None:
        code, details = _at_once(call.code()), _at_once(call.details())
        if self._ended.is_set() or details == "Internal error from Core":
            return
        if code is not grpc.StatusCode.OK:
            trailing = _at_once(call.trailing_metadata())
            self._error = aio.AioRpcError(code, aio.Metadata(), trailing, details)
        self._ended.set()


def _at_once(coroutine: Coroutine[Any, Any, A]) -> A:
    """Run a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: A = end.value
        return result
    message = "it waits"
    raise RuntimeError(message)


async def _write(
    call: "aio.StreamStreamCall[Q, A]", requests: AsyncIterable[Q]
) -> None:
    """Send the requests; a call that is over needs none."""
    try:
        async for request in requests:
            try:
                await call.write(request)
            except (grpc.RpcError, asyncio.InvalidStateError):
                return
    except BaseException:
        call.cancel()
        raise
    with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
        await call.done_writing()


async def in_turn(several: Iterable[A] | AsyncIterable[A]) -> AsyncIterator[A]:
    """Iterate, whatever kind of iterable it is."""
    if isinstance(several, AsyncIterable):
        async for each in several:
            yield each
    else:
        for each in several:
            yield each
