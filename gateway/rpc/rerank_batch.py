"""`RerankBatch`: many independent requests over one stream, each answered when it is done.

What is wrong with one request is the answer to that one. At most so many are open at once,
and nothing more is read before one of them is answered, which is when its answer has gone
out: who sends faster, or does not read, is held back by gRPC's flow control, and what it
costs here stays bounded.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue
from grpc.aio import ServicerContext

from gateway.concurrency import together
from gateway.contract import Rerank
from gateway.errors import InvalidRequest, Violation
from gateway.observing import Observer
from gateway.reranking import Reranking
from gateway.rpc.callers import caller_of
from gateway.rpc.guard import refusal_of, unreadable
from gateway.rpc.refusal import Refusal
from gateway.rpc.requests import Limits, read_rerank
from gateway.rpc.responses import duration_of, write_execution, write_rerank
from gateway.rpc.violations import at_most, bytes_over
from rerank.v1 import rerank_service_pb2

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"

_MAX_ID_BYTES = 128

# Who leaves looks, for a moment, like one who has sent its last request. It is told apart
# for what is said of the call alone.
_LEAVING_S = 0.001

# An answer fits what clients accept by default, whatever is wrong with the request.
_MAX_VIOLATIONS_BYTES = 1024 * 1024


class Room(Protocol):
    """What else the process does: open requests beyond a stream's first one are calls."""

    def has_room(self) -> bool:
        """Tell whether it could serve another one."""

    def more(self) -> None:
        """Count another one."""

    def less(self) -> None:
        """Count one less."""


class RerankBatch:
    """Answers the requests of streams.

    Args:
        reranking: The use case.
        limits: How much a request may bring.
        most_open: Of one stream at once.
        max_bytes: Of one answer.
        room: In this process.
        observer: Watches each request.

    """

    def __init__(
        self,
        *,
        reranking: Reranking,
        limits: Limits,
        most_open: int,
        max_bytes: int,
        room: Room,
        observer: Observer,
    ) -> None:
        self._reranking = reranking
        self._limits = limits
        self._most_open = most_open
        self._max_bytes = max_bytes
        self._room = room
        self._observer = observer

    async def answer_all(
        self, requests: AsyncIterator[bytes], context: _Context
    ) -> None:
        """Answer one stream, to its end.

        When it is cancelled, so is all that is open, and awaited.
        """
        stream = _Stream(context, most_open=self._most_open, room=self._room)
        async with together() as group:
            while True:
                await stream.until_another_may_come()
                data = await anext(requests, None)
                if data is None:
                    await asyncio.sleep(_LEAVING_S)
                    break
                item = stream.begin(data)
                task = group.create_task(self._answer(item, stream))
                task.add_done_callback(stream.ended)

    async def _answer(self, item: "_Item", stream: "_Stream") -> None:
        await stream.write(item, await self._response(item, stream))

    async def _response(
        self, item: "_Item", stream: "_Stream"
    ) -> rerank_service_pb2.RerankBatchResponse:
        name = item.message.request_id
        with self._observer.item() as tell:
            try:
                reranked = await self._reranking.rerank(self._ask(item, stream))
                response = rerank_service_pb2.RerankBatchResponse(
                    request_id=name,
                    response=write_rerank(item.message.request, reranked),
                )
                self._check_size(response)
            except Exception as error:  # noqa: BLE001 - as the guard does for a call: here one request ends, and no other
                refused = _error(refusal_of(error))
                return rerank_service_pb2.RerankBatchResponse(
                    request_id=name, error=refused
                )
            tell(reranked)
        return response

    def _check_size(self, response: rerank_service_pb2.RerankBatchResponse) -> None:
        """Refuse what gRPC would not send: it would end the whole stream."""
        size = response.ByteSize()
        if size > self._max_bytes:
            words = f"their answer has {size} bytes, at most {self._max_bytes} are sent"
            raise InvalidRequest((Violation("documents", words),))

    def _ask(self, item: "_Item", stream: "_Stream") -> Rerank:
        """Check a request, and tell all that is wrong with it and with its id."""
        try:
            ask = self._read(item, stream.remaining_s())
        except InvalidRequest as error:
            raise InvalidRequest((*item.wrong, *error.violations)) from error
        if item.wrong:
            raise InvalidRequest(item.wrong)
        return replace(ask, caller=stream.caller)

    def _read(self, item: "_Item", remaining_s: float | None) -> Rerank:
        if not item.readable:
            raise unreadable()
        if not item.message.HasField("request"):
            raise InvalidRequest((Violation("request", "is required"),))
        now = asyncio.get_running_loop().time()
        return read_rerank(
            item.message.request, self._limits, now=now, remaining_s=remaining_s
        )


@dataclass(frozen=True, slots=True)
class _Item:
    """One request of a stream."""

    message: rerank_service_pb2.RerankBatchRequest
    readable: bool
    """False: its bytes are no such message, and at most its id is known."""
    wrong: tuple[Violation, ...]
    """What is wrong with its id; nothing: no other one may have it now."""


class _Stream:
    """What is open of one stream, and the way back to its caller."""

    def __init__(self, context: _Context, *, most_open: int, room: Room) -> None:
        self._context = context
        self._most_open = most_open
        self._room = room
        self.caller = caller_of(context)
        self._open = 0
        self._ids: set[str] = set()
        self._one_ended = asyncio.Event()
        self._writing = asyncio.Lock()

    def remaining_s(self) -> float | None:
        """Tell what is left of the deadline of the whole stream; None: it has none."""
        return self._context.time_remaining()

    async def until_another_may_come(self) -> None:
        """Wait while too much is open, here or in the process.

        One may always be: otherwise a stream could wait for what others do.
        """
        while self._open >= self._most_open or (
            self._open and not self._room.has_room()
        ):
            self._one_ended.clear()
            await self._one_ended.wait()

    def begin(self, data: bytes) -> _Item:
        """Take a request in."""
        # The first one is the call that this stream is.
        if self._open:
            self._room.more()
        self._open += 1
        message, readable = _read(data)
        wrong = self._what_is_wrong_with(message.request_id)
        if wrong:
            return _Item(message, readable, (Violation("request_id", wrong),))
        self._ids.add(message.request_id)
        return _Item(message, readable, ())

    def _what_is_wrong_with(self, name: str) -> str:
        if not name:
            return "is required"
        if bytes_over(_MAX_ID_BYTES, name):
            return f"must have at most {_MAX_ID_BYTES} bytes of UTF-8"
        if name in self._ids:
            return "is that of a request that is not answered yet"
        return ""

    async def write(
        self, item: _Item, response: rerank_service_pb2.RerankBatchResponse
    ) -> None:
        """Send an answer, after those that were ready before it."""
        async with self._writing:
            # Before it is sent: whoever has read it may use the id again.
            if not item.wrong:
                self._ids.discard(item.message.request_id)
            await self._context.write(response)

    def ended(self, _: object) -> None:
        """Let the next request come."""
        self._open -= 1
        if self._open:
            self._room.less()
        self._one_ended.set()


def _read(data: bytes) -> tuple[rerank_service_pb2.RerankBatchRequest, bool]:
    """Read a message, or at least the id of one that cannot be read."""
    try:
        return rerank_service_pb2.RerankBatchRequest.FromString(data), True
    except DecodeError:
        pass
    try:
        # A message of one text, whose field has the number that the id has.
        name = StringValue.FromString(data).value
    except DecodeError:
        name = ""
    return rerank_service_pb2.RerankBatchRequest(request_id=name), False


def _error(refusal: Refusal) -> rerank_service_pb2.RerankBatchError:
    """Write a refusal as the answer to one request."""
    error = rerank_service_pb2.RerankBatchError(
        code=refusal.code.value[0],
        message=refusal.message,
        reason=refusal.reason,
        metadata=refusal.metadata,
        violations=[
            rerank_service_pb2.FieldViolation(
                field=each.field, description=each.description
            )
            for each in at_most(_MAX_VIOLATIONS_BYTES, refusal.violations)
        ],
    )
    if refusal.retry_after_s is not None:
        error.retry_delay.CopyFrom(duration_of(refusal.retry_after_s))
    if refusal.execution:
        error.execution.CopyFrom(write_execution(refusal.execution))
    return error
