"""Another configuration while calls are under way: what changes, what stays, what is refused."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable

import grpc
import pytest

from gateway.events import Reloaded, ReloadOutcome
from rerank.v1 import (
    backend_pb2,
    execution_pb2,
    rerank_service_pb2,
)
from tests.e2e.reloading import PATIENCE_S, Scene, backend, configuration, scene
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Vendor, reply

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PLAY = _SHAPE.scored(place_of)


@pytest.fixture
async def first() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY, info=_SHAPE.info) as vendor:
        yield vendor


@pytest.fixture
async def second() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY, info=_SHAPE.info) as vendor:
        yield vendor


class Held:
    """A vendor's play that answers when it may."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.fails = False

    async def __call__(self, exchange: Exchange) -> None:
        await self.may_answer.wait()
        await (reply(500, b"{}") if self.fails else _PLAY)(exchange)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if condition():
                return
            await asyncio.sleep(0)


async def _all_have_left(of: Scene) -> None:
    await _until(lambda: not of.gateway.current.leaving)


# What changes


async def test_a_route_goes_to_another_backend_at_once(
    first: Vendor, second: Vendor
) -> None:
    async with scene(configuration({"one": backend(first.url)})) as of:
        assert (await of.rerank()).execution.backend == "one"
        told = await of.reload(configuration({"two": backend(second.url)}))
        assert told.outcome is ReloadOutcome.APPLIED
        # Also what was remembered as a whole: it is another question now.
        assert (await of.rerank()).execution.backend == "two"
        assert [*await of.backends()] == ["two"]


async def test_limits_of_requests_and_of_the_process_change(first: Vendor) -> None:
    async with scene(configuration({"one": backend(first.url)})) as of:
        server = {**configuration({})["server"], "max_documents": 2}
        one = {"one": backend(first.url)}
        await of.reload(configuration(one, server={**server, "allow_debug": True}))
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await of.rerank(count=3)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        call = of.stub.Rerank(
            rerank_request(2), metadata=(("x-rerank-debug", "1"),), timeout=PATIENCE_S
        )
        await call
        assert "x-rerank-debug" in dict(await call.trailing_metadata())


async def test_a_backend_of_the_same_name_is_another_one(
    first: Vendor, second: Vendor
) -> None:
    first.play = reply(500, b"{}")
    broken = backend(first.url, failures_in_a_row=1, cooldown_s=600)
    async with scene(configuration({"one": broken})) as of:
        assert (await of.rerank()).fallback_triggered
        assert (await of.backends())["one"].circuit == backend_pb2.CIRCUIT_STATE_OPEN
        await of.reload(configuration({"one": backend(second.url)}))
        listed = (await of.backends())["one"]
        assert listed.circuit == backend_pb2.CIRCUIT_STATE_CLOSED
        assert not listed.HasField("last_failure_time")
        assert not (await of.rerank()).fallback_triggered


async def test_what_fails_of_the_one_before_is_not_held_against_it(
    first: Vendor, second: Vendor
) -> None:
    first.play = held = Held()
    async with scene(configuration({"one": backend(first.url)})) as of:
        under_way = asyncio.create_task(of.rerank())
        await first.until(lambda: bool(first.received))
        await of.reload(configuration({"one": backend(second.url)}))
        await of.rerank("another question")
        held.fails = True
        held.may_answer.set()
        assert (await under_way).fallback_triggered
        listed = (await of.backends())["one"]
        assert listed.state == backend_pb2.BACKEND_STATE_READY
        assert not listed.HasField("last_failure_time")


async def test_what_comes_back_while_a_call_has_it_is_shown_as_it_is(
    first: Vendor, second: Vendor
) -> None:
    first.play = reply(500, b"{}")
    broken = configuration(
        {"one": backend(first.url, failures_in_a_row=1, cooldown_s=600)}
    )
    async with scene(broken) as of:
        stream = of.stub.RerankBatch(timeout=PATIENCE_S)
        await stream.write(
            rerank_service_pb2.RerankBatchRequest(
                request_id="a", request=rerank_request(3)
            )
        )
        await stream.read()
        await of.reload(configuration({"one": backend(second.url)}))
        await of.reload(broken)
        # The stream has had it all the time, and so its circuit is as it was.
        assert (await of.rerank()).execution.fallback_reason == (
            execution_pb2.FALLBACK_REASON_CIRCUIT_OPEN
        )
        assert (await of.backends())["one"].circuit == backend_pb2.CIRCUIT_STATE_OPEN
        stream.cancel()


# What stays


async def test_calls_under_way_finish_as_they_began(
    first: Vendor, second: Vendor
) -> None:
    first.play = held = Held()
    async with scene(configuration({"one": backend(first.url)})) as of:
        under_way = asyncio.create_task(of.rerank())
        await first.until(lambda: bool(first.received))
        await of.reload(configuration({"two": backend(second.url)}))
        assert (await of.rerank()).execution.backend == "two"
        assert first.open_connections
        assert of.gateway.current.leaving == 1

        held.may_answer.set()
        assert (await under_way).execution.backend == "one"
        await _all_have_left(of)
        # The last call has left, and so do the connections.
        await first.until(lambda: not first.open_connections)


async def test_a_stream_keeps_what_it_began_with(first: Vendor, second: Vendor) -> None:
    async with scene(configuration({"one": backend(first.url)})) as of:
        stream = of.stub.RerankBatch(timeout=PATIENCE_S)

        async def ask(name: str) -> rerank_service_pb2.RerankBatchResponse:
            await stream.write(
                rerank_service_pb2.RerankBatchRequest(
                    request_id=name, request=rerank_request(3, query=name)
                )
            )
            answer = await stream.read()
            assert isinstance(answer, rerank_service_pb2.RerankBatchResponse)
            return answer

        assert (await ask("a")).response.execution.backend == "one"
        await of.reload(configuration({"two": backend(second.url)}))
        assert (await ask("b")).response.execution.backend == "one"
        assert (await of.rerank()).execution.backend == "two"
        await stream.done_writing()
        assert await stream.read() is grpc.aio.EOF
        await _all_have_left(of)
        await first.until(lambda: not first.open_connections)


async def test_scores_circuits_and_connections_of_what_did_not_change_go_on(
    first: Vendor, second: Vendor
) -> None:
    second.play = reply(500, b"{}")
    broken = backend(second.url, failures_in_a_row=1, cooldown_s=600)
    both = {"two": broken, "one": backend(first.url)}
    async with scene(configuration(both)) as of:
        await of.rerank()
        connections = first.connection_count
        assert (len(first.received), len(second.received)) == (1, 1)

        route = {"default": {"backends": ["two", "one"], "timeout_s": 7.0}}
        told = await of.reload(configuration(both, routes=route))
        assert told.outcome is ReloadOutcome.APPLIED
        answer = await of.rerank()
        # Neither is asked: one is remembered, and the other one's circuit is open still.
        assert answer.execution.cached_count == 3
        assert answer.execution.attempts[0].failure_reason == (
            execution_pb2.FALLBACK_REASON_CIRCUIT_OPEN
        )
        assert (len(first.received), len(second.received)) == (1, 1)
        await of.rerank("another question")
        assert first.connection_count == connections


async def test_what_says_the_same_changes_nothing(first: Vendor) -> None:
    raw = configuration({"one": backend(first.url)})
    async with scene(raw) as of:
        before = of.gateway.current.now
        told = await of.reload(raw)
        assert told.outcome is ReloadOutcome.UNCHANGED
        assert of.gateway.current.now is before


# What is refused, and what waits


async def test_what_is_wrong_changes_nothing_and_every_problem_is_told(
    first: Vendor,
) -> None:
    async with scene(configuration({"one": backend(first.url)})) as of:
        wrong = configuration({"one": backend("no url"), "two": {"dialect": "nobody"}})
        told = await of.reload(wrong)
        assert told.outcome is ReloadOutcome.REFUSED
        assert {each.partition(":")[0] for each in told.problems} >= {
            "backends.one.url",
            "backends.two.dialect",
        }
        assert (await of.rerank()).execution.backend == "one"


async def test_what_cannot_be_opened_changes_nothing(first: Vendor) -> None:
    one = backend(first.url)
    async with scene(configuration({"one": one})) as of:
        mine = {"dialect": "local", "model": "./there-is-no-such-model"}
        told = await of.reload(configuration({"one": one, "mine": mine}))
        assert told.outcome is ReloadOutcome.REFUSED
        assert told.problems[0].startswith("backends.mine: ")
        assert [*await of.backends()] == ["one"]


async def test_what_is_about_sockets_and_files_waits_and_the_rest_is_put_in_place(
    first: Vendor, second: Vendor
) -> None:
    async with scene(configuration({"one": backend(first.url)})) as of:
        told = await of.reload(
            configuration(
                {"two": backend(second.url)},
                server={"address": "127.0.0.1:1", "keepalive_s": 5.0},
                logs={"format": "json"},
            )
        )
        assert told == Reloaded(
            "a test",
            ReloadOutcome.APPLIED,
            told.duration_s,
            (),
            ("server.address", "server.keepalive_s", "logs.format"),
        )
        assert (await of.rerank()).execution.backend == "two"


# Many


async def test_a_hundred_reloads_under_load_lose_no_call_and_leave_nothing_behind(
    first: Vendor, second: Vendor
) -> None:
    urls = {"one": first.url, "two": second.url}

    def raw(place: int) -> dict[str, object]:
        name = ("one", "two")[place % 2]
        wrong = place % 3 == 2
        url = "no url" if wrong else urls[name]
        # One backend stays, one comes and goes, and each time it is another one.
        return configuration(
            {
                "kept": backend(first.url),
                name: backend(url, timeout_s=10 + place / 1000),
            },
            routes={"default": {"backends": [name, "kept"]}},
            cache={"ttl_s": 300 + (place // 10)},
        )

    outcomes = []
    seen: list[weakref.ref[object]] = []
    async with scene(raw(0)) as of:
        stop = asyncio.Event()
        answered = 0

        async def call(number: int) -> None:
            nonlocal answered
            while not stop.is_set():
                answer = await of.rerank(f"{number} {answered}")
                assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
                assert not answer.fallback_triggered
                answered += 1

        tasks = len(asyncio.all_tasks())
        async with asyncio.timeout(120), asyncio.TaskGroup() as callers:
            for number in range(4):
                callers.create_task(call(number))
            for place in range(1, 101):
                seen.append(weakref.ref(of.gateway.current.now.services.handlers))
                outcomes.append((await of.reload(raw(place))).outcome)
                at_least = answered + 2
                await _until(lambda: answered >= at_least)  # noqa: B023 - awaited at once
            stop.set()
        await _all_have_left(of)

        # Three parts run of what is configured now: two backends, and the memories.
        lasting = of.gateway.lasting
        assert (len(lasting.backends), len(lasting.memories)) == (2, 1)
        assert len(asyncio.all_tasks()) <= tasks + 2
        gc.collect()
        alive = {id(each()) for each in seen if each()}
        assert alive <= {id(of.gateway.current.now.services.handlers)}
        assert outcomes.count(ReloadOutcome.REFUSED) == 33
        assert outcomes.count(ReloadOutcome.APPLIED) == 67
        # The hundredth was right.
        assert (await of.rerank("last")).execution.backend == "one"
        answer = {each.name: each for each in (await of.backends()).values()}
        assert answer["one"].limits.timeout.ToTimedelta().total_seconds() == 10.1
    await first.until(lambda: not first.open_connections)
    await second.until(lambda: not second.open_connections)
