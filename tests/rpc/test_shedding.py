"""Refuse new calls while the process has more than it can do: against a real server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2

from gateway.rpc.guard import Guard
from gateway.rpc.shedding import Shedding

pytestmark = pytest.mark.real_time

# A channel that is spoken to in bytes, which its types do not foresee.
Channel: TypeAlias = Any

SERVICE = "test.Service"
OPERATORS = "test.Operators"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    # gRPC hands what is late to whichever loop comes next, so there is one for all.
    return "asyncio"


@pytest.fixture(scope="module")
async def runner_task() -> AsyncIterator[asyncio.Task[Any] | None]:
    """Tell which task runs the tests."""
    yield asyncio.current_task()  # noqa: PT022 - it holds the loop open


def test_what_is_no_call_takes_room_and_gives_it_back() -> None:
    late_s = 0.0
    shedding = Shedding(
        max_calls=2, max_lag_s=1.0, lag_s=lambda: late_s, exempt=frozenset()
    )
    assert shedding.has_room()
    shedding.more()
    shedding.more()
    assert not shedding.has_room()
    shedding.less()
    assert shedding.has_room()
    late_s = 1.5
    assert not shedding.has_room()
    assert shedding.calls == 1


class Scene:
    """A server whose calls wait until they may end."""

    def __init__(self) -> None:
        self.channel: Channel = None
        self.lag_s = 0.0
        self.decoded = 0
        self.begun: asyncio.Queue[None] = asyncio.Queue()
        self.may_end = asyncio.Event()

    def decode(self, data: bytes) -> bytes:
        self.decoded += 1
        return data

    async def once(self, request: bytes, _: object) -> bytes:
        self.begun.put_nowait(None)
        await self.may_end.wait()
        if request == b"fail":
            raise ZeroDivisionError
        return request

    async def often(self, request: bytes, _: object) -> AsyncIterator[bytes]:
        self.begun.put_nowait(None)
        await self.may_end.wait()
        yield request

    async def call(self, request: bytes = b"a", *, service: str = SERVICE) -> bytes:
        answer: bytes = await self.channel.unary_unary(f"/{service}/Once")(request)
        return answer

    async def begin(
        self, count: int, request: bytes = b"a", *, service: str = SERVICE
    ) -> list[asyncio.Task[Any]]:
        """Begin some calls, and wait until they have reached their handler."""
        while not self.begun.empty():
            self.begun.get_nowait()
        calls = [
            asyncio.create_task(self.call(request, service=service))
            for _ in range(count)
        ]
        for _ in calls:
            await self.begun.get()
        return calls

    async def refused(self, method: str = "Once") -> grpc.aio.AioRpcError:
        path = f"/{SERVICE}/{method}"
        match method:
            case "Often":
                answered = self.channel.unary_stream(path)(b"a").read()
            case "TakingMany":
                answered = self.channel.stream_unary(path)(iter([b"a", b"b"]))
            case _:
                answered = self.channel.unary_unary(path)(b"a")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await answered
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        return raised.value


@asynccontextmanager
async def serving(*, max_calls: int = 2) -> AsyncIterator[Scene]:
    scene = Scene()
    before = asyncio.all_tasks()
    shedding = Shedding(
        max_calls=max_calls,
        max_lag_s=1.0,
        lag_s=lambda: scene.lag_s,
        exempt=frozenset({OPERATORS}),
    )
    server = grpc.aio.server(interceptors=[shedding, Guard()])
    methods: dict[str, Any] = {
        "Once": grpc.unary_unary_rpc_method_handler(scene.once, scene.decode),
        "Often": grpc.unary_stream_rpc_method_handler(scene.often, scene.decode),
        "TakingMany": grpc.stream_unary_rpc_method_handler(scene.once, scene.decode),
    }
    for service in (SERVICE, OPERATORS):
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(service, methods),)
        )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as scene.channel:
            yield scene
    finally:
        await server.stop(None)
        # gRPC ends what it began for a call a moment after it says that it stopped.
        if late := asyncio.all_tasks() - before:
            await asyncio.wait(late, timeout=10)


def told(error: grpc.aio.AioRpcError) -> tuple[error_details_pb2.ErrorInfo, float]:
    """Read why a call was refused, and when to come again."""
    trailing = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(trailing["grpc-status-details-bin"])
    assert status.message == error.details()
    info, again = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(again)
    return info, again.retry_delay.ToTimedelta().total_seconds()


@pytest.mark.parametrize("method", ["Once", "Often", "TakingMany"])
async def test_a_call_beyond_the_bound_is_refused_without_being_read(
    method: str,
) -> None:
    async with serving() as scene:
        calls = await scene.begin(2)
        error = await scene.refused(method)
        info, again_s = told(error)
        assert error.details() == "2 calls are in flight"
        assert (info.reason, info.domain) == ("SERVER_OVERLOADED", "rerank.v1")
        assert info.metadata == {"limit": "2"}
        assert again_s == 1.0
        assert scene.decoded == 2
        scene.may_end.set()
        assert await asyncio.gather(*calls) == [b"a", b"a"]


async def test_calls_that_come_together_do_not_slip_through_together() -> None:
    async with serving() as scene:
        calls = [asyncio.create_task(scene.call()) for _ in range(20)]
        await asyncio.wait(calls, timeout=0.5)
        assert sum(each.done() for each in calls) == 18
        scene.may_end.set()
        ended = await asyncio.gather(*calls, return_exceptions=True)
        assert ended.count(b"a") == 2


async def test_whoever_ends_makes_room() -> None:
    async with serving() as scene:
        for request in (b"a", b"fail"):
            calls = await scene.begin(2, request)
            await scene.refused()
            scene.may_end.set()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await scene.call() == b"a"
            scene.may_end.clear()


async def test_whoever_leaves_makes_room() -> None:
    async with serving() as scene:
        for _ in range(5):
            for call in await scene.begin(2):
                call.cancel()
        scene.may_end.set()
        await asyncio.sleep(0.05)
        assert await scene.call() == b"a"


async def test_a_call_that_left_before_it_was_read_makes_room() -> None:
    async with serving() as scene:
        for _ in range(50):
            call = asyncio.create_task(scene.call(b"x" * 100_000))
            await asyncio.sleep(0)
            call.cancel()
        await asyncio.sleep(0.1)
        scene.may_end.set()
        assert [*await asyncio.gather(scene.call(), scene.call())] == [b"a", b"a"]


async def test_while_the_loop_is_late_all_are_refused() -> None:
    async with serving() as scene:
        scene.may_end.set()
        scene.lag_s = 1.0
        assert await scene.call() == b"a"
        scene.lag_s = 1.25
        error = await scene.refused()
        info, _ = told(error)
        assert info.reason == "SERVER_OVERLOADED"
        assert info.metadata == {"lag_s": "1.25", "limit_s": "1"}
        assert error.details() == "this process is 1.25 s late, and 1 s are the limit"
        scene.lag_s = 0.5
        assert await scene.call() == b"a"


async def test_calls_of_operators_are_neither_refused_nor_counted() -> None:
    async with serving() as scene:
        watching = await scene.begin(5, service=OPERATORS)
        calls = await scene.begin(2)
        scene.lag_s = 99.0
        scene.may_end.set()
        assert await scene.call(service=OPERATORS) == b"a"
        assert await asyncio.gather(*watching, *calls) == [b"a"] * 7


async def test_a_method_that_does_not_exist_is_still_unimplemented() -> None:
    async with serving() as scene:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await scene.channel.unary_unary(f"/{SERVICE}/Nobody")(b"a")
        assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_callers_who_leave_while_they_are_refused_leave_no_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.ERROR):
        async with serving(max_calls=1) as scene:
            calls = await scene.begin(1)
            for _ in range(100):
                leaving = asyncio.create_task(scene.call())
                await asyncio.sleep(0)
                leaving.cancel()
            await asyncio.sleep(0.1)
            scene.may_end.set()
            await asyncio.gather(*calls)
    assert not caplog.records
