"""Send batches to a gateway and give what became of each, across lost connections."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from gateway.cli.document_lines import Batch
from rerank.v1 import document_service_pb2

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub

# The gateway works on one while the next one travels; what is not acknowledged is held
# here, to be sent again.
_IN_FLIGHT = 3

_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each attempt after a lost connection; then it is a failure."""

_Call = grpc.aio.StreamStreamCall[
    document_service_pb2.ImportDocumentsRequest,
    document_service_pb2.ImportDocumentsResponse,
]


@dataclass(frozen=True, slots=True)
class Stored:
    """One batch that is durable."""

    batch: Batch
    response: document_service_pb2.ImportDocumentsResponse


class EndedEarly(Exception):
    """The gateway ended the stream without an error and without answering everything."""


class _Lost(Exception):
    """The connection or the server went away in the middle."""


async def stored(
    stub: "DocumentServiceAsyncStub",
    collection: str,
    read: Iterator[Batch],
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[Stored]:
    """Send all batches, and give each when it is stored, in their order.

    Where the connection is lost, what was not acknowledged is sent again, up to five
    times without any progress between.

    Args:
        stub: Connected to a gateway.
        collection: Exists.
        read: The batches. At most three of them are held at once.
        sleep: Waits before an attempt.

    Raises:
        grpc.RpcError: The gateway refused, or stayed away.
        EndedEarly: It broke the contract.

    """
    waiting: deque[Batch] = deque()
    waits = iter(_WAITS_S)
    while True:
        try:
            async for each in _over_one_stream(stub, collection, read, waiting):
                waits = iter(_WAITS_S)
                yield each
        except grpc.aio.AioRpcError as error:
            wait_s = next(waits, None)
            if error.code() is not grpc.StatusCode.UNAVAILABLE or wait_s is None:
                raise
        except _Lost:
            wait_s = next(waits, None)
            if wait_s is None:
                message = "the gateway keeps ending the stream"
                raise EndedEarly(message) from None
        else:
            return
        await sleep(wait_s)


async def _over_one_stream(
    stub: "DocumentServiceAsyncStub",
    collection: str,
    read: Iterator[Batch],
    waiting: deque[Batch],
) -> AsyncIterator[Stored]:
    """Send what waits, then what can be read; what is stored waits no longer."""
    call: _Call = stub.ImportDocuments()
    try:
        for again in tuple(waiting):
            await _send(call, collection, again)
        more = True
        while more or waiting:
            while more and len(waiting) < _IN_FLIGHT:
                # Reading may wait for standard input, and must not stop a gateway
                # in this process.
                batch = await asyncio.to_thread(next, read, None)
                if batch is None:
                    more = False
                    async with _how_it_ended(call):
                        await call.done_writing()
                    break
                waiting.append(batch)
                await _send(call, collection, batch)
            if waiting:
                response = await _receive(call, waiting[0])
                yield Stored(waiting.popleft(), response)
    finally:
        call.cancel()


async def _send(call: _Call, collection: str, batch: Batch) -> None:
    request = document_service_pb2.ImportDocumentsRequest(
        collection=collection,
        batch_id=str(batch.last_line),
        documents=batch.documents,
    )
    async with _how_it_ended(call):
        await call.write(request)


async def _receive(
    call: _Call, batch: Batch
) -> document_service_pb2.ImportDocumentsResponse:
    async with _how_it_ended(call):
        response = await call.read()
    if not isinstance(response, document_service_pb2.ImportDocumentsResponse):
        message = "the gateway ended the stream early"
        raise EndedEarly(message)
    if response.batch_id != str(batch.last_line):
        message = f"the gateway answered batch {response.batch_id!r} out of turn"
        raise EndedEarly(message)
    return response


@asynccontextmanager
async def _how_it_ended(call: _Call) -> AsyncIterator[None]:
    """Tell the end of a call as an error; grpc.aio has other ways for some ends."""
    try:
        yield
    except asyncio.InvalidStateError:
        code = await call.code()
        if code is grpc.StatusCode.OK:
            message = "the gateway ended the stream early"
            raise EndedEarly(message) from None
        if code is grpc.StatusCode.CANCELLED:
            raise _Lost from None
        raise grpc.aio.AioRpcError(
            code,
            await call.initial_metadata(),
            await call.trailing_metadata(),
            details=await call.details(),
        ) from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # A server that stops cancels its calls, which is told in this way.
        raise _Lost from None
