"""Calls over HTTP end in time, with their caller, and before the process does."""

import asyncio
import logging
import signal

import httpx
import pytest

from gateway.events import CallEnded, Event
from tests.e2e.subprocesses import command, serving
from tests.e2e.vendor import Exchange, hang
from tests.e2e.workers import COUNT, several
from tests.faces.asking import (
    CAPITAL,
    CAPITALS,
    COHERE,
    DOCUMENTS,
    PATIENCE_S,
    Scene,
    facing,
)

pytestmark = pytest.mark.real_time

_BODY = {"query": CAPITAL, "texts": DOCUMENTS}
_LOCAL = {"query": CAPITAL, "documents": DOCUMENTS}


class Gate:
    """A vendor's answer that waits until it is let go."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await self.opened.wait()
        await COHERE.scored(CAPITALS.__getitem__)(exchange)


@pytest.mark.parametrize(
    ("header", "value"),
    [("x-timeout-s", "0.3"), ("connect-timeout-ms", "300"), ("grpc-timeout", "300m")],
)
async def test_the_answer_comes_within_the_callers_time(
    header: str, value: str
) -> None:
    loop = asyncio.get_running_loop()
    async with facing(hang) as scene:
        began = loop.time()
        response = await scene.post("/tei/rerank", _BODY, {header: value})
        took_s = loop.time() - began

    assert response.status_code == 200
    assert response.headers["x-fallback-reason"] == "DEADLINE"
    assert 0.2 < took_s < 0.3 + 0.25


async def test_without_a_deadline_the_routes_time_holds() -> None:
    route = {"backends": ["behind"], "timeout_s": 0.2}
    async with facing(hang, routes={"default": route}) as scene:
        response = await scene.post("/tei/rerank", _BODY)

    assert response.headers["x-fallback-reason"] == "DEADLINE"


async def test_a_deadline_that_is_over_is_a_504() -> None:
    async with facing() as scene:
        response = await scene.post("/tei/rerank", _BODY, {"grpc-timeout": "1n"})

    assert response.status_code == 504
    assert response.json()["error"] == "the deadline left no time for an answer"


async def test_a_caller_who_leaves_ends_the_call_at_the_backend() -> None:
    ended: list[CallEnded] = []

    def note(event: Event) -> None:
        if isinstance(event, CallEnded):
            ended.append(event)

    before = asyncio.all_tasks()
    async with facing(hang, emit=note) as scene:
        call = asyncio.create_task(scene.post("/tei/rerank", _BODY))
        await scene.vendor.until(lambda: scene.vendor.in_progress == 1)

        call.cancel()
        await asyncio.wait([call])

        await scene.vendor.until(lambda: not scene.vendor.in_progress)
        assert scene.vendor.abandoned == 1
        async with asyncio.timeout(PATIENCE_S):
            while scene.gateway.server.in_flight:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0)
    assert [(each.method, each.status, each.face) for each in ended] == [
        ("rerank.v1.RerankService/Rerank", "CANCELLED", "tei")
    ]
    assert asyncio.all_tasks() <= before


async def test_callers_who_leave_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        async with facing(hang) as scene:
            calls = [
                # Those who ask the same would wait for one and the same answer.
                asyncio.create_task(
                    scene.post("/tei/rerank", {**_BODY, "query": f"query {place}"})
                )
                for place in range(5)
            ]
            await scene.vendor.until(lambda: scene.vendor.in_progress == 5)
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)
            await scene.vendor.until(lambda: not scene.vendor.in_progress)

    assert not [
        record
        for record in caplog.records
        if record.name.startswith(("gateway.rpc", "gateway.faces", "aio", "asyncio"))
    ]


async def _stopping(scene: Scene, grace_s: float) -> "asyncio.Task[None]":
    """Begin to stop, and wait until nobody new is let in."""
    task = asyncio.create_task(scene.gateway.server.stop(grace_s=grace_s))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with httpx.AsyncClient(base_url=scene.client.base_url) as another:
                try:
                    await another.get("/health")
                except httpx.TransportError:
                    return task


async def test_a_stop_lets_a_call_in_flight_finish() -> None:
    gate = Gate()
    async with facing(gate) as scene:
        call = asyncio.create_task(scene.post("/tei/rerank", _BODY))
        await scene.vendor.until(lambda: scene.vendor.in_progress == 1)

        stopping = await _stopping(scene, grace_s=PATIENCE_S)
        assert not stopping.done()
        gate.opened.set()

        response = await call
        assert response.status_code == 200
        assert response.json()[0] == {"index": 3, "score": 0.999071}
        await asyncio.wait_for(stopping, PATIENCE_S)


async def test_an_idle_connection_does_not_hold_up_a_stop() -> None:
    async with facing() as scene:
        await scene.client.get("/health")  # and the connection is kept

        await asyncio.wait_for(scene.gateway.server.stop(grace_s=600), PATIENCE_S)


async def test_what_outlasts_the_grace_is_cancelled_at_the_backend_too() -> None:
    async with facing(hang) as scene:
        call = asyncio.create_task(scene.post("/tei/rerank", _BODY))
        await scene.vendor.until(lambda: scene.vendor.in_progress == 1)

        await asyncio.wait_for(scene.gateway.server.stop(grace_s=0.1), PATIENCE_S)

        await scene.vendor.until(lambda: not scene.vendor.in_progress)
        with pytest.raises(httpx.TransportError):
            await call


async def test_serve_listens_where_it_is_told_and_stops_at_sigterm() -> None:
    async with serving("--http-address", "127.0.0.1:0") as server:
        line = await server.read_until("the APIs of vendors at ")
        url = line.split()[-1]
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
            response = await client.post("/v1/rerank", json=_LOCAL)
            finished = await server.stop(signal.SIGTERM)

    assert response.status_code == 200
    assert finished.code == 0
    assert "Rerank over bare OK in" in finished.err
    assert "a bug" not in finished.err


async def test_without_an_address_nothing_listens_for_http() -> None:
    async with serving() as server:
        finished = await server.stop(signal.SIGTERM)

    assert "vendors" not in finished.err


async def test_workers_share_the_port() -> None:
    async with several("--http-address", "127.0.0.1:0") as server:
        line = await server.read_until("the APIs of vendors at ")
        url = line.split("at ")[-1].split('"')[0].strip()
        served = set()
        for _ in range(64):
            async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S) as client:
                response = await client.post("/v1/rerank", json=_LOCAL)
            assert response.status_code == 200
            line = await server.read_until('"event":"call"')
            served.add(line.split('"worker":')[1][0])
            if len(served) == COUNT:
                break
        finished = await server.stop(signal.SIGTERM)

    assert served == {"0", "1"}
    assert finished.code == 0


async def test_an_address_in_use_is_told_in_one_line() -> None:
    async with facing() as scene:
        taken = scene.gateway.server.http_address
        finished = await command(
            "serve", "--address", "127.0.0.1:0", "--http-address", taken
        )

    assert finished.code == 1
    assert finished.err.count("\n") == 1
    assert f"cannot listen on {taken}: Address already in use" in finished.err
