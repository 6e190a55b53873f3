"""Many requests over one stream: each has its answer, and no more is held than must be."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from gateway.contract import Rerank, Reranked
from gateway.events import CallEnded, Event
from gateway.reranking import Reranking
from rerank.v1 import document_pb2, error_reason_pb2, execution_pb2, rerank_service_pb2
from tests.e2e.running import Running, place_of, rerank_request, running
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Play, Vendor, hang, refusing_url

pytestmark = pytest.mark.real_time

Ask = rerank_service_pb2.RerankBatchRequest
Answer = rerank_service_pb2.RerankBatchResponse
Request = rerank_service_pb2.RerankRequest

METHOD = "rerank.v1.RerankService/RerankBatch"
_PATIENCE_S = 30.0
_PLENTY = 64

(_SHAPE,) = SHAPES["llamacpp"]
_GOOD = _SHAPE.scored(place_of)


@dataclass(slots=True)
class Backend:
    """Answers when it may, and remembers how many it had at once."""

    open_gates: bool = True
    slow_s: float = 0.0
    now: int = 0
    most: int = 0
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """By query: opened to let the answer go."""

    async def __call__(self, exchange: Exchange) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            if not self.open_gates:
                await self.gate(exchange.received.json["query"]).wait()
            await asyncio.sleep(self.slow_s)
            await _GOOD(exchange)
        finally:
            self.now -= 1

    def gate(self, query: str) -> asyncio.Event:
        return self.gates.setdefault(query, asyncio.Event())


@dataclass(frozen=True, slots=True)
class Scene:
    gateway: Running
    vendor: Vendor
    events: list[Event]

    def batch(self, *, within_s: float | None = _PATIENCE_S, **more: Any) -> Any:
        return self.gateway.stub.RerankBatch(timeout=within_s, **more)

    async def answers(self, *asked: Ask) -> list[Answer]:
        """Send these and no more, and read all answers."""
        call = self.gateway.stub.RerankBatch(iter(asked), timeout=_PATIENCE_S)
        return [each async for each in call]

    async def until_told(self) -> CallEnded:
        """Give what is told of the batch that ends first."""
        await until(lambda: bool(self.lines))
        return self.lines[0]

    @property
    def lines(self) -> list[CallEnded]:
        return [
            each
            for each in self.events
            if isinstance(each, CallEnded) and each.method == METHOD
        ]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - of several things, none tells of itself
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scene(play: Play, **server: Any) -> AsyncIterator[Scene]:
    events: list[Event] = []
    with refusing_url() as nobody:
        async with Vendor(play) as vendor:
            settings: dict[str, Any] = {
                "server": server,
                "backends": {
                    "good": {
                        "dialect": "llamacpp",
                        "url": vendor.url,
                        "max_in_flight": _PLENTY,
                        **_SHAPE.settings,
                    },
                    "down": {
                        "dialect": "llamacpp",
                        "url": nobody,
                        **_SHAPE.settings,
                    },
                },
                "routes": {
                    "default": {"backends": ["good"]},
                    "down": {"backends": ["down"]},
                },
            }
            async with running(settings, emit=events.append) as gateway:
                yield Scene(gateway, vendor, events)


def ask(number: int, *, name: str | None = None, **more: Any) -> Ask:
    """Ask about three documents; no two ask the same."""
    return Ask(
        request_id=f"r{number}" if name is None else name,
        request=rerank_request(3, query=f"query {number}", **more),
    )


def query(number: int) -> str:
    return f"query {number}"


async def read(call: Any) -> Answer:
    """Read one answer."""
    async with asyncio.timeout(_PATIENCE_S):
        answer = await call.read()
    assert isinstance(answer, Answer), await call.code()
    return answer


async def rest(call: Any) -> list[Answer]:
    """Send no more, and read all that comes."""
    await call.done_writing()
    answers = []
    async with asyncio.timeout(_PATIENCE_S):
        while (answer := await call.read()) is not grpc.aio.EOF:
            answers.append(answer)
    return answers


async def nothing_but(before: set[asyncio.Task[Any]]) -> None:
    """Wait for gRPC, which ends what it began for a call a moment after the call."""
    async with asyncio.timeout(_PATIENCE_S):
        while late := asyncio.all_tasks() - before:
            await asyncio.wait(late)


async def test_a_thousand_requests_are_answered_once_each() -> None:
    backend = Backend(slow_s=0.01)
    async with scene(backend) as of:
        answers = await of.answers(*(ask(number) for number in range(1000)))
        line = await of.until_told()
    assert Counter(each.request_id for each in answers) == Counter(
        f"r{number}" for number in range(1000)
    )
    for each in answers:
        assert [result.index for result in each.response.results] == [2, 1, 0]
        assert each.response.search_method == "rrf_hybrid+rerank"
    assert 1 < backend.most <= 16
    assert line.status == "OK"
    assert (line.requests, line.refused, line.fell_back) == (1000, 0, 0)


async def test_a_stream_of_nothing_is_answered_by_nothing() -> None:
    async with scene(_GOOD) as of:
        call = of.batch()
        assert await rest(call) == []
        assert await call.code() is grpc.StatusCode.OK


async def test_what_is_done_first_is_answered_first() -> None:
    backend = Backend(open_gates=False)
    async with scene(backend) as of:
        call = of.batch()
        for number in range(5):
            await call.write(ask(number))
        await of.vendor.until(lambda: backend.now == 5)
        for number in (3, 0, 4, 2, 1):
            backend.gate(query(number)).set()
            assert (await read(call)).request_id == f"r{number}"
        assert await rest(call) == []


@pytest.mark.parametrize("most", [1, 3, 16])
async def test_no_more_than_so_many_are_open_at_once(most: int) -> None:
    backend = Backend(open_gates=False)
    async with scene(backend, max_batch_in_flight=most) as of:
        call = of.batch()
        for number in range(40):
            await call.write(ask(number))
        await call.done_writing()
        answered = 0
        while answered < 40:
            await of.vendor.until(lambda: backend.now == min(most, 40 - answered))  # noqa: B023 - awaited at once
            # Whoever would come too early has had the time.
            await asyncio.sleep(0.01)
            assert len(of.vendor.received) == min(most + answered, 40)
            one = next(each for each in backend.gates.values() if not each.is_set())
            one.set()
            await read(call)
            answered += 1
        assert backend.most == most


async def test_a_caller_that_does_not_read_is_not_read_from() -> None:
    large = "text-of-a-caller " + "x" * 1_000_000 + " 1"
    async with scene(_GOOD, max_batch_in_flight=4) as of:
        call = of.batch()

        async def send() -> None:
            for number in range(100):
                asked = ask(number, return_documents=True)
                asked.request.documents[0].text = large
                await call.write(asked)
            await call.done_writing()

        sending = asyncio.create_task(send())
        seen = -1
        while seen < len(of.vendor.received):
            seen = len(of.vendor.received)
            await asyncio.sleep(0.5)
        # What gRPC keeps on both sides, and what is open; each answer is a megabyte.
        assert seen < 30
        assert not sending.done()
        answers = [await read(call) for _ in range(100)]
        assert len({each.request_id for each in answers}) == 100
        await sending


async def test_a_caller_that_leaves_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with scene(hang) as of:
        call = of.batch()
        for number in range(20):
            await call.write(ask(number))
        await of.vendor.until(lambda: of.vendor.in_progress == 16)

        call.cancel()

        await of.vendor.until(lambda: not of.vendor.in_progress)
        assert of.vendor.abandoned == 16
        assert (await of.until_told()).status == "CANCELLED"
        await until(lambda: of.gateway.server.in_flight == 0)
        # It serves on.
        of.vendor.play = _GOOD
        (answer,) = await of.answers(ask(99))
        assert answer.HasField("response")
    await nothing_but(before)


async def test_who_leaves_while_nothing_is_open_has_left_all_the_same() -> None:
    async with scene(_GOOD) as of:
        for number in range(20):
            call = of.batch()
            await call.write(ask(number))
            await read(call)
            call.cancel()
        await until(lambda: len(of.lines) == 20)
        ends = Counter(line.status for line in of.lines)
    # For a moment it looks like a stream that ends well; on a machine that is much too
    # busy that moment may be long.
    assert ends["CANCELLED"] > 10


async def test_a_caller_that_disappears_is_like_one_that_cancels() -> None:
    async with scene(hang) as of:
        other = grpc.aio.insecure_channel(
            of.gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]
        )
        method: Any = other.stream_stream(f"/{METHOD}")
        call = method()
        await call.write(ask(1).SerializeToString())
        await of.vendor.until(lambda: of.vendor.in_progress == 1)

        await other.close()

        await of.vendor.until(lambda: not of.vendor.in_progress)
        assert of.vendor.abandoned == 1


def timeless(message: str) -> str:
    return re.sub(r"after \d+\.\d+ s", "after … s", message)


async def _told_alone(of: Scene, request: Request) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await of.gateway.stub.Rerank(request, timeout=_PATIENCE_S)
    return raised.value


def _bad() -> Iterator[tuple[str, Request]]:
    yield "violations", Request(query=" ", top_n=-1)
    yield (
        "a thousand violations",
        Request(
            query="q", documents=[document_pb2.Document(id="same", text="a")] * 1000
        ),
    )
    yield "no such route", rerank_request(3, route="nowhere")
    fail = {"failure_policy": "FAILURE_POLICY_FAIL"}
    yield "no scores", rerank_request(3, route="down", **fail)


@pytest.mark.parametrize(
    "request_", [each for _, each in _bad()], ids=[name for name, _ in _bad()]
)
async def test_an_error_says_what_the_status_of_a_call_says(request_: Request) -> None:
    async with scene(_GOOD) as of:
        alone = await _told_alone(of, request_)
        answers = {
            each.request_id: each
            for each in await of.answers(
                Ask(request_id="bad", request=request_), ask(1)
            )
        }
    assert [r.index for r in answers["r1"].response.results] == [2, 1, 0]
    error = answers["bad"].error
    status = rpc_status.from_call(alone)  # type: ignore[arg-type]  # an error has what it reads of a call
    assert status
    assert error.code == status.code
    assert timeless(error.message) == timeless(status.message)
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    again, execution = error_details_pb2.RetryInfo(), execution_pb2.Execution()
    for each in status.details:
        assert any(each.Unpack(kind) for kind in (info, bad, again, execution))
    reason = error_reason_pb2.ErrorReason.Name(error.reason)
    assert reason.removeprefix("ERROR_REASON_") == info.reason
    assert error.metadata == info.metadata
    told = [(each.field, each.description) for each in error.violations]
    short = [(each.field, each.description) for each in bad.field_violations]
    if len(short) == len(told):
        assert told == short
    else:  # here there is room for all
        assert told[: len(short) - 1] == short[:-1]
        assert len(told) == int(info.metadata["violation_count"])
    assert error.HasField("retry_delay") == bool(again.ByteSize())
    assert error.retry_delay == again.retry_delay
    assert error.execution.outcome == execution.outcome
    assert error.execution.fallback_reason == execution.fallback_reason
    assert len(error.execution.attempts) == len(execution.attempts)


async def test_faulty_ids_are_told_by_themselves() -> None:
    long, as_long = "ü" * 65, "ü" * 64
    backend = Backend(open_gates=False)
    async with scene(backend) as of:
        call = of.batch()
        await call.write(ask(1, name=as_long))
        await of.vendor.until(lambda: backend.now == 1)
        for name in ("", long, as_long):
            await call.write(ask(2, name=name))
            answer = await read(call)
            assert answer.request_id == name
            assert answer.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
            assert [each.field for each in answer.error.violations] == ["request_id"]
        backend.gate(query(1)).set()
        assert (await read(call)).HasField("response")
        # It is answered, so another one may have its name.
        await call.write(ask(1, name=as_long))
        assert (await read(call)).HasField("response")
        assert await rest(call) == []


async def test_all_that_is_wrong_with_a_request_is_told_at_once() -> None:
    async with scene(_GOOD) as of:
        answers = await of.answers(
            Ask(), Ask(request_id="r1"), Ask(request=Request(top_n=-1))
        )
    assert sorted(
        (each.request_id, [fault.field for fault in each.error.violations])
        for each in answers
    ) == [
        ("", ["request_id", "query", "top_n"]),
        ("", ["request_id", "request"]),
        ("r1", ["request"]),
    ]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        # The query is no UTF-8.
        (b"\x0a\x02r1\x12\x04\x0a\x02\xff\xff", "r1"),
        (b"\xff\xff\xff", ""),
    ],
)
async def test_what_is_no_message_ends_nothing_but_itself(
    data: bytes, name: str
) -> None:
    async with scene(_GOOD) as of:
        method: Any = of.gateway.channel.stream_stream(f"/{METHOD}")
        call = method(timeout=_PATIENCE_S)
        await call.write(data)
        bad = Answer.FromString(await call.read())
        assert bad.request_id == name
        assert bad.error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert "request" in [each.field for each in bad.error.violations]
        await call.write(ask(2).SerializeToString())
        assert Answer.FromString(await call.read()).HasField("response")
        await call.done_writing()
        assert await call.code() is grpc.StatusCode.OK


async def test_an_answer_too_large_to_be_sent_ends_nothing_but_itself() -> None:
    async with scene(_GOOD, max_message_bytes=32 * 1024) as of:
        documents = [document_pb2.Document(text=f"a {place}") for place in range(1000)]
        large = Request(query="q", documents=documents, top_k=1000)
        answers = {
            each.request_id: each
            for each in await of.answers(
                Ask(request_id="large", request=large), ask(1), ask(2)
            )
        }
    error = answers["large"].error
    assert error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert [each.field for each in error.violations] == ["documents"]
    assert answers["r1"].HasField("response")
    assert answers["r2"].HasField("response")


async def test_a_bug_is_that_of_one_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rerank = Reranking.rerank

    async def broken(self: Reranking, asked: Rerank) -> Reranked:
        if asked.query == query(3):
            raise ZeroDivisionError("canary")
        return await rerank(self, asked)

    monkeypatch.setattr(Reranking, "rerank", broken)
    with caplog.at_level(logging.ERROR):
        async with scene(_GOOD) as of:
            answers = await of.answers(*(ask(number) for number in range(6)))
    (failed,) = [each for each in answers if each.HasField("error")]
    assert (failed.request_id, failed.error.message) == ("r3", "internal error")
    assert failed.error.code == grpc.StatusCode.INTERNAL.value[0]
    assert failed.error.reason == error_reason_pb2.ERROR_REASON_INTERNAL
    assert len(answers) == 6
    assert "a bug: ZeroDivisionError" in caplog.text
    assert "canary" not in caplog.text


async def test_a_request_has_its_own_time() -> None:
    async with scene(hang) as of:
        call = of.batch()
        await call.write(ask(1, timeout=Duration(nanos=200_000_000)))
        answer = await read(call)
        assert answer.response.execution.fallback_reason == (
            execution_pb2.FALLBACK_REASON_DEADLINE
        )
        call.cancel()
        assert (await of.until_told()).fell_back == 1


async def test_the_deadline_of_the_stream_bounds_each_request() -> None:
    async with scene(hang) as of:
        call = of.batch(within_s=1.5)
        for number in range(3):
            await call.write(ask(number))
        # They come in time, although the stream could end any moment.
        for _ in range(3):
            answer = await read(call)
            assert answer.response.fallback_triggered
            assert [r.index for r in answer.response.results] == [0, 1, 2]
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert (await of.until_told()).fell_back == 3


async def test_who_stops_answers_what_is_open() -> None:
    backend = Backend(open_gates=False)
    async with scene(backend) as of:
        call = of.batch()
        await call.write(ask(1))
        await of.vendor.until(lambda: backend.now == 1)

        stopping = asyncio.create_task(of.gateway.server.stop(grace_s=_PATIENCE_S))
        await asyncio.sleep(0.05)
        backend.gate(query(1)).set()
        assert (await read(call)).HasField("response")
        # What was begun may go on, as long as the grace is.
        backend.gate(query(2)).set()
        await call.write(ask(2))
        assert (await read(call)).HasField("response")
        assert await rest(call) == []

        assert await call.code() is grpc.StatusCode.OK
        await stopping


async def test_who_has_no_time_to_stop_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with scene(hang) as of:
        call = of.batch()
        for number in range(3):
            await call.write(ask(number))
        await of.vendor.until(lambda: of.vendor.in_progress == 3)

        await of.gateway.server.stop(grace_s=0.05)

        await of.vendor.until(lambda: not of.vendor.in_progress)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
    await nothing_but(before)


async def test_open_requests_are_calls_in_flight() -> None:
    backend = Backend(open_gates=False)
    async with scene(backend, max_calls=3) as of:
        call = of.batch()
        for number in range(6):
            await call.write(ask(number))
        await of.vendor.until(lambda: backend.now == 3)
        assert of.gateway.server.in_flight == 3

        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await of.gateway.stub.Rerank(rerank_request(2), timeout=_PATIENCE_S)

        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for number in range(6):
            backend.gate(query(number)).set()
        assert len(await rest(call)) == 6
        assert backend.most == 3
        await until(lambda: of.gateway.server.in_flight == 0)


async def test_a_stream_goes_on_however_much_else_there_is() -> None:
    backend = Backend(open_gates=False)
    async with scene(backend, max_calls=2) as of:
        other = asyncio.ensure_future(
            of.gateway.stub.Rerank(rerank_request(2, query="other"), timeout=30)
        )
        await of.vendor.until(lambda: backend.now == 1)
        call = of.batch()
        for number in range(3):
            backend.gate(query(number)).set()
            await call.write(ask(number))
        assert len(await rest(call)) == 3
        assert backend.most == 2
        backend.gate("other").set()
        await other
