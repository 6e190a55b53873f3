"""Batches arrive once each and in order, whatever the connection does meanwhile."""

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest

from gateway.cli.document_lines import batches
from gateway.cli.import_stream import EndedEarly, stored
from rerank.v1 import document_service_pb2_grpc
from rerank.v1.document_service_pb2 import (
    ImportDocumentsRequest,
    ImportDocumentsResponse,
)

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub

pytestmark = pytest.mark.real_time

_Context = grpc.aio.ServicerContext[ImportDocumentsRequest, ImportDocumentsResponse]
_Before = Callable[[int, _Context], Awaitable[None]]
"""What happens before a batch is answered; it knows how many came, over all streams."""


class _Storing:
    """A server that stores in memory, and fails when told."""

    def __init__(self, before: _Before, *, answers: int | None = None) -> None:
        self._before = before
        self._answers = answers
        self._came = 0
        self._server: grpc.aio.Server | None = None
        self._port = 0
        self.streams = 0
        self.held: list[str] = []

    async def _import(
        self, requests: AsyncIterator[ImportDocumentsRequest], context: _Context
    ) -> AsyncIterator[ImportDocumentsResponse]:
        self.streams += 1
        async for request in requests:
            if self._came == self._answers:
                return
            self._came += 1
            await self._before(self._came, context)
            self.held += [document.id for document in request.documents]
            yield ImportDocumentsResponse(
                batch_id=request.batch_id,
                accepted_count=len(request.documents),
                version=len(self.held),
            )

    async def start(self) -> str:
        handler = grpc.stream_stream_rpc_method_handler(
            self._import,
            request_deserializer=ImportDocumentsRequest.FromString,
            response_serializer=ImportDocumentsResponse.SerializeToString,
        )
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "rerank.v1.DocumentService", {"ImportDocuments": handler}
                ),
            )
        )
        self._port = self._server.add_insecure_port(f"127.0.0.1:{self._port}")
        await self._server.start()
        return f"127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """End with all calls that are in flight."""
        assert self._server
        await self._server.stop(None)


@asynccontextmanager
async def _served(
    before: _Before, *, answers: int | None = None
) -> AsyncIterator[tuple[_Storing, "DocumentServiceAsyncStub"]]:
    storing = _Storing(before, answers=answers)
    address = await storing.start()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield storing, document_service_pb2_grpc.DocumentServiceStub(channel)
    finally:
        await storing.stop()


async def _import(
    stub: "DocumentServiceAsyncStub", count: int
) -> tuple[list[int], list[float]]:
    """Give the last line of each batch stored, and the waits before attempts."""
    content = b"".join(b'{"_id": "%d", "text": "x"}\n' % n for n in range(count))
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(0.01)

    read = batches(io.BytesIO(content), name="file", at_most=10)
    found = [
        each.batch.last_line async for each in stored(stub, "papers", read, sleep=sleep)
    ]
    return found, waits


async def _nothing(came: int, context: _Context) -> None: ...


async def test_every_batch_is_stored_in_order() -> None:
    async with _served(_nothing) as (service, stub):
        lines, waits = await _import(stub, 95)

    assert lines == [*range(10, 95, 10), 95]
    assert service.held == [str(n) for n in range(95)]
    assert not waits


async def test_nothing_to_store_is_no_failure() -> None:
    async with _served(_nothing) as (service, stub):
        assert await _import(stub, 0) == ([], [])

    assert not service.held


@pytest.mark.parametrize("when", range(1, 8))
async def test_what_was_not_acknowledged_is_sent_again(when: int) -> None:
    async def before(came: int, context: _Context) -> None:
        if came == when:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")

    async with _served(before) as (service, stub):
        lines, waits = await _import(stub, 45)

    assert lines == [10, 20, 30, 40, 45]
    assert list(dict.fromkeys(service.held)) == [str(n) for n in range(45)]
    assert waits == ([0.5] if when <= 5 else [])


async def test_a_server_that_is_stopped_and_started_again_is_asked_again() -> None:
    stopping: list[asyncio.Task[None]] = []

    async def before(came: int, _: _Context) -> None:
        if came == 2:
            stopping.append(asyncio.create_task(restart()))
            await asyncio.sleep(60)

    async def restart() -> None:
        await service.stop()
        await service.start()

    async with _served(before) as (service, stub):
        lines, waits = await _import(stub, 45)
        await stopping[0]

    assert lines == [10, 20, 30, 40, 45]
    assert list(dict.fromkeys(service.held)) == [str(n) for n in range(45)]
    assert waits[0] == 0.5


async def test_progress_between_failures_starts_the_count_anew() -> None:
    async def before(came: int, context: _Context) -> None:
        if came % 2 == 0:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "again")

    async with _served(before) as (service, stub):
        lines, waits = await _import(stub, 100)

    assert lines == list(range(10, 101, 10))
    assert len(service.held) >= 100
    assert len(waits) > 5


async def test_a_server_that_stays_away_is_a_failure_after_five_attempts() -> None:
    async def before(came: int, context: _Context) -> None:
        if came > 1:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    async with _served(before) as (service, stub):
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await _import(stub, 100)

    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert service.streams == 6


@pytest.mark.parametrize("when", [1, 2, 7])
async def test_a_refusal_is_a_failure_and_told_as_it_is(when: int) -> None:
    async def before(came: int, context: _Context) -> None:
        if came >= when:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many")

    async with _served(before) as (service, stub):
        with pytest.raises(grpc.aio.AioRpcError, match="too many"):
            await _import(stub, 10_000)

    # What is written while a stream ends hides how it ended, so it is asked again.
    assert service.streams <= 3


@pytest.mark.parametrize("answers", [0, 1, 7])
async def test_a_stream_that_ends_too_early_is_a_failure(answers: int) -> None:
    async with _served(_nothing, answers=answers) as (service, stub):
        with pytest.raises(EndedEarly):
            await _import(stub, 10_000)

    assert len(service.held) == answers * 10


async def test_an_import_that_is_cancelled_ends() -> None:
    asked = asyncio.Event()

    async def before(came: int, _: _Context) -> None:
        if came == 2:
            asked.set()
            await asyncio.sleep(60)

    async with _served(before) as (_, stub):
        task = asyncio.create_task(_import(stub, 100))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
