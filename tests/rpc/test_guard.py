"""No exception leaves as text: against a real server, in every kind of call."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gateway.errors import UnknownRoute
from gateway.rpc.guard import Guard

pytestmark = pytest.mark.real_time

# A channel that is spoken to in bytes, which its types do not foresee.
Channel: TypeAlias = Any

SECRET = "the secret text of a document"
SERVICE = "test.Service"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    # gRPC hands what is late to whichever loop comes next, so there is one for all.
    return "asyncio"


@pytest.fixture(scope="module")
async def runner_task() -> AsyncIterator[asyncio.Task[Any] | None]:
    """Tell which task runs the tests."""
    yield asyncio.current_task()  # noqa: PT022 - it holds the loop open


class Bug(RuntimeError):
    """A bug of ours, with a text in it."""


def bug() -> Exception:
    return Bug(SECRET)


class Handlers:
    """One method of each kind; each raises what it is given."""

    def __init__(self, make: Callable[[], Exception] | None) -> None:
        self._make = make

    def _raise(self) -> None:
        if self._make:
            raise self._make()

    async def once(self, request: bytes, _: object) -> bytes:
        self._raise()
        return request

    async def often(self, request: bytes, _: object) -> AsyncIterator[bytes]:
        yield request
        self._raise()
        yield request

    async def taking_many(self, requests: AsyncIterator[bytes], _: object) -> bytes:
        taken = [each async for each in requests]
        self._raise()
        return b"".join(taken)

    async def both(
        self, requests: AsyncIterator[bytes], _: object
    ) -> AsyncIterator[bytes]:
        async for each in requests:
            yield each
            self._raise()

    async def writing(self, request: bytes, context: Any) -> None:
        await context.write(request)
        self._raise()
        await context.write(request)

    async def aborting(self, _: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not served")
        return b""

    async def aborting_both(
        self, _: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "not served")
        yield b""


@asynccontextmanager
async def serving(
    make: Callable[[], Exception] | None = None,
) -> AsyncIterator[Channel]:
    """Serve every kind of method behind the guard, on a free port."""
    handlers = Handlers(make)
    before = asyncio.all_tasks()
    server = grpc.aio.server(interceptors=[Guard()])
    methods: dict[str, Any] = {
        "Once": grpc.unary_unary_rpc_method_handler(handlers.once),
        "Often": grpc.unary_stream_rpc_method_handler(handlers.often),
        "TakingMany": grpc.stream_unary_rpc_method_handler(handlers.taking_many),
        "Both": grpc.stream_stream_rpc_method_handler(handlers.both),
        "Writing": grpc.unary_stream_rpc_method_handler(handlers.writing),
        "Aborting": grpc.unary_unary_rpc_method_handler(handlers.aborting),
        "AbortingBoth": grpc.stream_stream_rpc_method_handler(handlers.aborting_both),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, methods),)
    )
    checking = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checking, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(None)
        # gRPC ends what it began for a call a moment after it says that it stopped.
        if late := asyncio.all_tasks() - before:
            await asyncio.wait(late, timeout=10)


async def call(channel: Channel, method: str) -> list[bytes]:
    """Call a method and collect what it answers."""
    path = f"/{SERVICE}/{method}"
    match method:
        case "Once" | "Aborting" | "Nobody":
            return [await channel.unary_unary(path)(b"a")]
        case "TakingMany":
            many = channel.stream_unary(path)()
            await many.write(b"a")
            await many.write(b"b")
            await many.done_writing()
            return [await many]
        case "Both":
            both = channel.stream_stream(path)()
            await both.write(b"a")
            await both.done_writing()
            return [each async for each in both]
    return [each async for each in channel.unary_stream(path)(b"a")]


def begin(channel: Channel, method: str) -> Any:
    """Begin a call, and leave it to be cancelled."""
    path = f"/{SERVICE}/{method}"
    match method:
        case "Once" | "Aborting":
            return channel.unary_unary(path)(b"a")
        case "TakingMany":
            return channel.stream_unary(path)(iter([b"a", b"b"]))
        case "Both" | "AbortingBoth":
            return channel.stream_stream(path)(iter([b"a", b"b"]))
    return channel.unary_stream(path)(b"a")


EVERY_KIND = pytest.mark.parametrize(
    "method", ["Once", "Often", "TakingMany", "Both", "Writing"]
)


@pytest.mark.parametrize(
    ("method", "answers"),
    [
        ("Once", [b"a"]),
        ("Often", [b"a", b"a"]),
        ("TakingMany", [b"ab"]),
        ("Both", [b"a"]),
        ("Writing", [b"a", b"a"]),
    ],
)
async def test_what_goes_well_is_left_alone(method: str, answers: list[bytes]) -> None:
    async with serving() as channel:
        assert await call(channel, method) == answers


@EVERY_KIND
async def test_a_bug_is_internal_and_says_nothing(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        async with serving(bug) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(channel, method)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert raised.value.details() == "internal error"
    assert SECRET not in str(raised.value.trailing_metadata())
    assert SECRET not in str(raised.value.debug_error_string())
    assert SECRET not in caplog.text
    assert "a bug: Bug at test_guard.py:" in caplog.text


@EVERY_KIND
async def test_what_is_raised_on_purpose_becomes_its_status(method: str) -> None:
    async with serving(lambda: UnknownRoute("legal")) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(channel, method)
    assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    assert raised.value.details() == "there is no route 'legal'"


async def test_a_handler_may_choose_its_own_status() -> None:
    async with serving() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(channel, "Aborting")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert raised.value.details() == "not served"


async def test_a_method_that_nobody_serves_is_unimplemented() -> None:
    async with serving() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await call(channel, "Nobody")
    assert raised.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_health_that_is_watched_is_told() -> None:
    async with serving() as channel:
        watch = channel.unary_stream("/grpc.health.v1.Health/Watch")(b"")
        told = health_pb2.HealthCheckResponse.FromString(await watch.read())
        watch.cancel()
    assert told.status == health_pb2.HealthCheckResponse.SERVING


async def test_bytes_that_are_no_message_are_the_callers_mistake() -> None:
    async with serving() as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        with pytest.raises(grpc.aio.AioRpcError) as raised:
            await check(b"\xff\xff\xff")
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details() == "request: is no message of its kind"


@pytest.mark.parametrize(
    "method",
    ["Once", "Often", "TakingMany", "Both", "Writing", "Aborting", "AbortingBoth"],
)
@pytest.mark.parametrize(
    "make",
    [None, lambda: UnknownRoute("legal")],
    ids=["goes well", "is refused"],
)
async def test_callers_who_leave_at_any_moment_are_no_bug(
    method: str,
    make: Callable[[], Exception] | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    moments = random.Random(method)
    with caplog.at_level(logging.INFO):
        async with serving(make) as channel:

            async def leave(after_s: float) -> None:
                called = begin(channel, method)
                await asyncio.sleep(after_s)
                called.cancel()

            for _ in range(5):
                # A burst, so that they are in every stage when they end.
                await asyncio.gather(
                    *(leave(moments.uniform(0, 0.02)) for _ in range(60))
                )
    assert not caplog.text
