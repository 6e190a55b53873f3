"""Send batches to a gateway and give what became of each, across lost connections."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from gateway.cli.document_lines import Batch
from rerank.v1.document_service_pb2 import (
    ImportDocumentsRequest,
    ImportDocumentsResponse,
)

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub

# The gateway works on one while the next one travels; what is not acknowledged is held
# here, to be sent again.
_IN_FLIGHT = 3

_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each attempt after a lost connection; then it is a failure."""

_Call = grpc.aio.StreamStreamCall[
    ImportDocumentsRequest,
    ImportDocumentsResponse,
]


@dataclass(frozen=True, slots=True)
class Stored:
    """One batch that is durable."""

    batch: Batch
    response: ImportDocumentsResponse


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
    at_once = _IN_FLIGHT
    while True:
        stream = _over_one_stream(stub, collection, read, waiting, at_once=at_once)
        try:
            async for each in stream:
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
        at_once = 1
        await sleep(wait_s)


async def _over_one_stream(
    stub: "DocumentServiceAsyncStub",
    collection: str,
    read: Iterator[Batch],
    waiting: deque[Batch],
    *,
    at_once: int,
) -> AsyncIterator[Stored]:
    """Send what waits, then what can be read; what is stored waits no longer.

    Args:
        stub: Connected to a gateway.
        collection: Exists.
        read: What is sent after that which waits.
        waiting: What is sent and not stored, or was so when the last stream ended.
        at_once: How many are sent before the first answer.

    """
    stream = _Stream(stub.ImportDocuments())
    sent = 0
    more = True
    try:
        while more or waiting:
            while sent < at_once and (more or sent < len(waiting)):
                if sent == len(waiting):
                    # Reading may wait for standard input, and must not stop a
                    # gateway in this process.
                    batch = await asyncio.to_thread(next, read, None)
                    if batch is None:
                        more = False
                        break
                    waiting.append(batch)
                await stream.send(collection, waiting[sent])
                sent += 1
            if waiting:
                response = await stream.receive(waiting[0])
                yield Stored(waiting.popleft(), response)
                sent -= 1
                at_once = _IN_FLIGHT
        await stream.finish()
    finally:
        await stream.close()


class _Stream:
    """One call, whose answers are read as they come.

    Unread answers would hide from grpc.aio that the call has ended; the next write
    would then fail with an error of its own in the place of the status.
    """

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._answers: asyncio.Queue[ImportDocumentsResponse | Exception]
        self._answers = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())
        self._status_is_hidden = False

    async def send(self, collection: str, batch: Batch) -> None:
        """Send a batch; if the call has ended, `receive` tells how."""
        request = ImportDocumentsRequest(
            collection=collection,
            batch_id=str(batch.last_line),
            documents=batch.documents,
        )
        try:
            await self._call.write(request)
        except asyncio.InvalidStateError:
            return
        except grpc.aio.AioRpcError as error:
            # It ended at this very moment.
            self._status_is_hidden = error.code() is grpc.StatusCode.INTERNAL
        except asyncio.CancelledError:
            if _is_cancelled():
                raise

    async def receive(self, batch: Batch) -> ImportDocumentsResponse:
        """Give the answer to a batch, or raise how the call ended."""
        answer = await self._answers.get()
        if isinstance(answer, Exception):
            raise answer
        if answer.batch_id != str(batch.last_line):
            message = f"the gateway answered batch {answer.batch_id!r} out of turn"
            raise EndedEarly(message)
        return answer

    async def finish(self) -> None:
        """Say that this was all, and wait for the end."""
        await self._call.done_writing()
        await self._reader

    async def close(self) -> None:
        """Give up what is left of the call."""
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        end: Exception = EndedEarly("the gateway ended the stream early")
        try:
            while isinstance(
                response := await self._call.read(), ImportDocumentsResponse
            ):
                self._answers.put_nowait(response)
        except grpc.aio.AioRpcError as error:
            end = _Lost() if self._status_is_hidden else error
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            end = _Lost()
        self._answers.put_nowait(end)


def _is_cancelled() -> bool:
    """Tell our own cancellation from that of a call, as a server that stops does it.

    grpc.aio raises the same for both.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
