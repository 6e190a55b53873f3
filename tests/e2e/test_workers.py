"""Several workers on one port, as processes of their own."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client import parser

from rerank.v1 import (
    backend_pb2,
    backend_service_pb2,
    backend_service_pb2_grpc,
    execution_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)
from tests.e2e.running import QUERY, place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import ENVIRONMENT, Finished, Serving, command, serving
from tests.e2e.vendor import Exchange, Vendor, reset
from tests.e2e.workers import (
    COUNT,
    a_connection,
    is_there,
    several,
    to_each,
    worker_processes,
)
from tests.support.redis_server import a_redis

pytestmark = pytest.mark.real_time

(_SHAPE,) = SHAPES["tei"]
_PLAY = _SHAPE.scored(place_of)
_BACKEND = "RERANK_GATEWAY__BACKENDS__TEI"
_PATIENCE_S = 30.0


@pytest.fixture
async def vendor() -> AsyncIterator[Vendor]:
    async with Vendor(_PLAY, info=_SHAPE.info) as vendor:
        yield vendor


def _environ(vendor: Vendor, **backend: object) -> dict[str, str]:
    return {
        "RERANK_GATEWAY_BACKEND": f"tei+{vendor.url}",
        "RERANK_GATEWAY__CACHE__MAX_BYTES": "0",
        **{f"{_BACKEND}__{key.upper()}": str(each) for key, each in backend.items()},
    }


async def _rerank(
    channel: grpc.aio.Channel, query: str = QUERY
) -> rerank_service_pb2.RerankResponse:
    stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
    return await stub.Rerank(rerank_request(3, query=query), timeout=_PATIENCE_S)


async def _listed(
    channel: grpc.aio.Channel, *, page_size: int = 0
) -> list[backend_pb2.Backend]:
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    listed: list[backend_pb2.Backend] = []
    request = backend_service_pb2.ListBackendsRequest(page_size=page_size)
    while True:
        page = await stub.ListBackends(request, timeout=_PATIENCE_S)
        listed += page.backends
        if not page.next_page_token:
            return listed
        request.page_token = page.next_page_token


async def _metrics(address: str) -> dict[tuple[str, ...], float]:
    """Read all samples, by their names and the values of their labels."""
    async with httpx.AsyncClient(timeout=_PATIENCE_S) as client:
        text = (await client.get(f"http://{address}/metrics")).text
    samples: dict[tuple[str, ...], float] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, *sample.labels.values())
            assert key not in samples
            samples[key] = sample.value
    return samples


def _reranks(samples: Mapping[tuple[str, ...], float]) -> float:
    return sum(
        value
        for key, value in samples.items()
        if key[0] == "rpc_server_call_duration_seconds_count"
        and any(each.endswith("/Rerank") for each in key)
    )


async def _metrics_address(server: Serving) -> str:
    line = await server.read_until("metrics at ")
    return line.partition("http://")[2].partition("/metrics")[0]


async def _ends(pid: int) -> None:
    """Wait until a process that is not ours to wait for is gone."""
    pidfd = os.pidfd_open(pid)
    try:
        loop, gone = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(pidfd, gone.set)
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await gone.wait()
        finally:
            loop.remove_reader(pidfd)
    finally:
        os.close(pidfd)


# One port


async def test_calls_are_spread_over_the_workers_and_any_of_them_tells_of_all(
    vendor: Vendor,
) -> None:
    environ = _environ(vendor, max_in_flight=7, max_queued=9, failures_in_a_row=1)
    async with (
        several("--metrics-address", "127.0.0.1:0", environ=environ) as server,
    ):
        metrics = await _metrics_address(server)
        assert sorted(worker_processes(server)) == [0, 1]
        async with to_each(server) as channels:
            before = _reranks(await _metrics(metrics))
            for place, times in ((0, 3), (1, 4)):
                for _ in range(times):
                    response = await _rerank(channels[place])
                    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
            counted = await _metrics(metrics)

            # One circuit of two is open; both workers say so, and so do the metrics.
            vendor.play = reset
            await _rerank(channels[1])
            told = {place: await _listed(channels[place]) for place in channels}
            by_pages = await _listed(channels[0], page_size=1)
            shown = await _metrics(metrics)

    assert (before, _reranks(counted)) == (0, 7)
    assert told[0] == told[1] == by_pages
    assert [(each.name, each.worker) for each in told[0]] == [("tei", 0), ("tei", 1)]
    assert [each.circuit for each in told[0]] == [
        backend_pb2.CIRCUIT_STATE_CLOSED,
        backend_pb2.CIRCUIT_STATE_OPEN,
    ]
    assert [each.limits.max_in_flight for each in told[0]] == [4, 3]
    assert [each.limits.max_queued for each in told[0]] == [5, 4]
    state = "rerank_gateway_backend_circuit_state"
    assert [counted[state, "tei", each] for each in ("closed", "open")] == [1, 0]
    assert [shown[state, "tei", each] for each in ("closed", "open")] == [0, 1]


async def test_limits_are_those_of_all_workers_together(vendor: Vendor) -> None:
    may_answer, most = asyncio.Event(), 0

    async def play(exchange: Exchange) -> None:
        nonlocal most
        most = max(most, vendor.in_progress)
        await may_answer.wait()
        await _PLAY(exchange)

    vendor.play = play
    # Three calls of each worker want to be asked, and one of each is, while one waits.
    environ = _environ(vendor, max_in_flight=2, max_queued=2, retries=0)
    async with several(environ=environ) as server, to_each(server) as channels:
        calls = [
            # Equal ones would share one.
            asyncio.create_task(_rerank(channels[place], f"query {number}"))
            for place in channels
            for number in range(3)
        ]
        refused, waiting = await asyncio.wait(
            calls, return_when=asyncio.FIRST_COMPLETED
        )
        while len(refused) < 2:
            more, waiting = await asyncio.wait(
                waiting, return_when=asyncio.FIRST_COMPLETED
            )
            refused |= more
        await vendor.until(lambda: vendor.in_progress == 2)
        may_answer.set()
        outcomes = [(await each).execution.fallback_reason for each in calls]

    assert most == 2
    assert sorted(outcomes) == [
        *[execution_pb2.FALLBACK_REASON_UNSPECIFIED] * 4,
        *[execution_pb2.FALLBACK_REASON_OVERLOADED] * 2,
    ]


async def test_a_second_gateway_is_refused(vendor: Vendor) -> None:
    async with several(environ=_environ(vendor)) as server:
        second = ("serve", "--address", server.address, "--workers")
        both = [
            await command(*second, workers, environ=_environ(vendor))
            for workers in ("1", "2")
        ]
        async with a_connection(server.address) as channel:
            await _rerank(channel)
    for finished in both:
        _assert_refused(finished, server.address)


async def test_several_are_refused_where_one_serves(vendor: Vendor) -> None:
    async with serving(environ=_environ(vendor)) as server:
        second = ("serve", "--address", server.address, "--workers", "2")
        finished = await command(*second, environ=_environ(vendor))
    _assert_refused(finished, server.address)


def _assert_refused(finished: Finished, address: str) -> None:
    assert finished.code == 1
    assert finished.err.splitlines() == [
        f"rerank-gateway: cannot listen on {address}: Address already in use"
    ]


async def test_metrics_have_a_port_of_their_own(vendor: Vendor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        finished = await command(
            *("serve", "--workers", "2", "--address", "127.0.0.1:0"),
            *("--metrics-address", address),
            environ=_environ(vendor),
        )
    _assert_refused(finished, address)


# The ends of processes


async def test_a_worker_that_is_killed_is_replaced_and_no_later_call_fails(
    vendor: Vendor,
) -> None:
    async with several(
        "--metrics-address", "127.0.0.1:0", environ=_environ(vendor)
    ) as server:
        metrics = await _metrics_address(server)
        async with to_each(server) as channels:
            for channel in channels.values():
                await _rerank(channel)
        counted = _reranks(await _metrics(metrics))
        killed = worker_processes(server)[1]
        os.kill(killed, signal.SIGKILL)
        await server.read_until("worker 1 was ended by SIGKILL and is replaced in")
        for _ in range(20):
            async with a_connection(server.address) as channel:
                await _rerank(channel)
        meanwhile = _reranks(await _metrics(metrics))
        await server.read_until("worker 1 serves in its place")
        assert worker_processes(server)[1] != killed
        async with to_each(server) as channels:
            for channel in channels.values():
                await _rerank(channel)
        finally_counted = _reranks(await _metrics(metrics))
        finished = await server.stop(signal.SIGTERM)

    assert (counted, meanwhile, finally_counted) == (2, 22, 24)
    assert finished.code == 0


async def test_a_worker_told_to_stop_finishes_its_calls_and_is_replaced(
    vendor: Vendor,
) -> None:
    may_answer = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await may_answer.wait()
        await _PLAY(exchange)

    vendor.play = play
    async with several(
        "--metrics-address", "127.0.0.1:0", environ=_environ(vendor)
    ) as server:
        metrics = await _metrics_address(server)
        async with to_each(server) as channels:
            call = asyncio.create_task(_rerank(channels[0]))
            await vendor.until(lambda: vendor.in_progress == 1)
            os.kill(worker_processes(server)[0], signal.SIGTERM)
            may_answer.set()
            response = await call
            await server.read_until("worker 0 serves in its place")
        counted = _reranks(await _metrics(metrics))

    assert response.execution.outcome == execution_pb2.OUTCOME_RERANKED
    # Its last numbers are not lost with it.
    assert counted == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_the_calls_of_all_workers_finish(
    vendor: Vendor, number: int
) -> None:
    may_answer = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await may_answer.wait()
        await _PLAY(exchange)

    vendor.play = play
    async with several(environ=_environ(vendor)) as server:
        processes = worker_processes(server)
        async with to_each(server) as channels:
            calls = [asyncio.create_task(_rerank(each)) for each in channels.values()]
            await vendor.until(lambda: vendor.in_progress == COUNT)
            server.send_signal(number)
            await server.read_until("stopping: calls in flight have 10 s to finish")
            may_answer.set()
            responses = [await each for each in calls]
        finished = await server.ended()

    assert {each.execution.outcome for each in responses} == {
        execution_pb2.OUTCOME_RERANKED
    }
    assert finished.code == 0
    assert "Traceback" not in finished.err
    assert '"message":"stopped"' in finished.err.splitlines()[-1]
    assert not any(map(is_there, processes.values()))


async def test_who_does_not_stop_in_time_is_killed(vendor: Vendor) -> None:
    environ = {**_environ(vendor), "RERANK_GATEWAY__SERVER__GRACE_S": "0.1"}
    async with several(environ=environ) as server:
        stuck = worker_processes(server)[1]
        os.kill(stuck, signal.SIGSTOP)
        finished = await server.stop(signal.SIGTERM)
    assert finished.code == 0
    assert "workers that do not stop are killed: 1" in finished.err
    assert not is_there(stuck)


async def test_workers_end_with_their_parent_and_leave_the_port(
    vendor: Vendor,
) -> None:
    async with several(environ=_environ(vendor)) as server:
        workers = worker_processes(server)
        os.kill(server.pid, signal.SIGKILL)
        try:
            await asyncio.gather(*map(_ends, workers.values()))
        finally:
            for each in workers.values():
                with suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
    async with serving("--address", server.address, environ=_environ(vendor)) as again:
        assert again.address == server.address


async def test_that_no_worker_can_start_is_said_once(
    vendor: Vendor, tmp_path: Path
) -> None:
    # What a worker imports, and its parent does not.
    (tmp_path / "uvloop.py").write_text("import os\nos._exit(7)\n")
    path = os.pathsep.join([str(tmp_path), ENVIRONMENT["PYTHONPATH"]])
    finished = await command(
        *("serve", "--workers", "2", "--address", "127.0.0.1:0"),
        environ={**_environ(vendor), "PYTHONPATH": path},
    )
    assert finished.code == 1
    (said,) = [
        line for line in finished.err.splitlines() if line.startswith("rerank-gateway:")
    ]
    assert "3 workers ended before all served" in said
    assert said.endswith("ended with code 7")
    assert "listening on" not in finished.err


async def test_a_wrong_configuration_is_told_once() -> None:
    finished = await command(
        *("serve", "--workers", "2"),
        environ={"RERANK_GATEWAY__SERVER__GRACE_S": "soon"},
    )
    assert finished.code == 2
    (problem,) = finished.err.splitlines()
    assert problem.startswith("server.grace_s: ")


@pytest.mark.parametrize("stdin", ["", "x" * 100])
async def test_nobody_else_starts_a_worker(stdin: str) -> None:
    finished = await command("worker", "0", stdin=stdin)
    assert finished.code == 2
    assert finished.err.splitlines() == [
        "rerank-gateway: a worker is started by `rerank-gateway serve` alone"
    ]


# What they share


async def test_what_one_worker_remembers_others_find_in_the_shared_memory(
    vendor: Vendor, tmp_path: Path
) -> None:
    with a_redis(tmp_path) as redis:
        environ = {
            **_environ(vendor),
            "RERANK_GATEWAY__CACHE__MAX_BYTES": "1000000",
            "RERANK_GATEWAY__CACHE__URL": redis.url,
            "RERANK_GATEWAY__CACHE__KEY_ENV": "SHARED_KEY",
            # A loaded machine may need longer than the 5 ms of the default.
            "RERANK_GATEWAY__CACHE__TIMEOUT_S": "2",
            "SHARED_KEY": "a-secret-that-all-workers-share",
        }
        async with several(environ=environ) as server, to_each(server) as channels:
            first = await _rerank(channels[0])
            # It is written beside the answer.
            async with asyncio.timeout(_PATIENCE_S):
                while (found := await _rerank(channels[1])).execution.cached_count < 3:
                    assert len(vendor.received) < 20
    assert first.execution.cached_count == 0
    assert [each.index for each in found.results] == [2, 1, 0]
