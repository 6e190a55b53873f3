"""The lines of `serve`, as a process of its own."""

import asyncio
import re
import signal
from datetime import datetime

import grpc
import orjson
import pytest

from rerank.v1 import backend_service_pb2, backend_service_pb2_grpc
from tests.e2e.subprocesses import command, serving

pytestmark = pytest.mark.real_time

JSON = {"RERANK_GATEWAY__LOGS__FORMAT": "json"}


async def ask(address: str, times: int) -> None:
    async with grpc.aio.insecure_channel(address) as channel:
        stub = backend_service_pb2_grpc.BackendServiceStub(channel)
        for _ in range(times):
            await stub.ListBackends(
                backend_service_pb2.ListBackendsRequest(), timeout=20
            )


async def test_machines_read_all_of_it() -> None:
    async with serving(environ=JSON) as server:
        await ask(server.address, 1)
        finished = await server.stop(signal.SIGTERM)

    lines = [orjson.loads(line) for line in finished.err.splitlines()]
    assert finished.code == 0
    assert [line["method"] for line in lines if line.get("event") == "call"] == [
        "rerank.v1.BackendService/ListBackends"
    ]
    assert lines[-1]["message"] == "stopped"
    for line in lines:
        assert datetime.fromisoformat(line["time"]).tzinfo
        assert (line["level"], line["logger"]) == ("INFO", "gateway")


async def test_it_says_where_metrics_are() -> None:
    async with serving("--metrics-address", "127.0.0.1:0") as server:
        line = await server.read_until("metrics at ")
    assert re.search(r"metrics at http://127\.0\.0\.1:[1-9]\d*/metrics$", line.strip())


async def test_people_read_words() -> None:
    async with serving() as server:
        finished = await server.stop(signal.SIGTERM)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO gateway: stopped",
        finished.err.splitlines()[-1],
    )


async def test_it_answers_and_ends_though_nobody_reads_its_lines() -> None:
    async with serving(environ=JSON) as server:
        # Its pipe takes 64 KiB, and whoever starts it here reads 128 KiB ahead.
        await ask(server.address, 1500)
        server.send_signal(signal.SIGTERM)
        # asyncio's own wait would go on until somebody reads.
        async with asyncio.timeout(20):
            while server._process.returncode is None:  # noqa: ASYNC110 - as it says
                await asyncio.sleep(0.02)
        assert server._process.returncode == 0


async def test_a_wrong_address_for_metrics_is_a_mistake_of_one_line() -> None:
    finished = await command("serve", "--metrics-address", "nowhere")
    assert finished.code == 2
    assert finished.err.startswith("telemetry.metrics_address: must be HOST:PORT")
    assert len(finished.err.splitlines()) == 1
