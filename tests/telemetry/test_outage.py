"""A collector that is killed, or takes everything and answers nothing, is no caller's problem.

Real processes: a gateway with traces, metrics and logs on, and the collector.
"""

import asyncio
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import httpx
import pytest

from rerank.v1 import execution_pb2, rerank_service_pb2_grpc
from tests.e2e.running import rerank_request
from tests.e2e.subprocesses import ENVIRONMENT, ROOT, Serving, serving
from tests.e2e.vendor import Exchange, Vendor, refusing_url, reply_json

pytestmark = pytest.mark.real_time

PROTOCOLS = ("grpc", "http/protobuf")
KILLED, FROZEN = signal.SIGKILL, signal.SIGSTOP

PATIENCE_S = 20.0
LATE_S = 1.5
"""To send takes two seconds at most, for each span if a call waits; a call takes milliseconds,
and more if others want the machine."""
END_S = 3.0
BUSY_S = 1.0
"""What a busy machine may add to the end of a process."""
MOST_LINES = 4
"""One for each signal, and one about the last numbers."""
CALLERS = 3
DOCUMENTS = 5


class Collector:
    """A process of its own, always at the same address."""

    def __init__(self, protocol: str) -> None:
        self.protocol = protocol
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            self._port = held.getsockname()[1]
        self._process: asyncio.subprocess.Process | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self._port}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTEL_METRIC_EXPORT_INTERVAL": "300",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
            "OTEL_BLRP_SCHEDULE_DELAY": "100",
        }

    async def start(self) -> None:
        module = ("-m", "benchmarks.telemetry.collector", str(self._port))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, *module, self.protocol),
            cwd=ROOT,
            env={**os.environ, **ENVIRONMENT},
            stdout=asyncio.subprocess.PIPE,
        )
        await self.says("listening")

    async def says(self, words: str) -> None:
        """Wait until it says so."""
        assert self._process
        assert self._process.stdout
        async with asyncio.timeout(PATIENCE_S):
            while words not in (await self._process.stdout.readline()).decode():
                assert not self._process.stdout.at_eof()

    def send_signal(self, number: int) -> None:
        assert self._process
        self._process.send_signal(number)

    async def end(self) -> None:
        if self._process:
            if self._process.returncode is None:
                self._process.kill()
            await self._process.communicate()


@asynccontextmanager
async def collecting(protocol: str) -> AsyncIterator[Collector]:
    collector = Collector(protocol)
    try:
        await collector.start()
        yield collector
    finally:
        await collector.end()


class Load:
    """Callers that ask again and again, and what became of their calls."""

    def __init__(self, gateway: Serving, metrics: httpx.AsyncClient) -> None:
        self.gateway = gateway
        self.slowest_s = 0.0
        self.answered = 0
        self._metrics = metrics
        self._over = False

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        async with (
            grpc.aio.insecure_channel(
                self.gateway.address, options=[("grpc.use_local_subchannel_pool", 1)]
            ) as channel,
            asyncio.TaskGroup() as callers,
        ):
            stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
            for place in range(CALLERS):
                callers.create_task(self._calls(stub, place))
            try:
                yield
            finally:
                self._over = True

    async def _calls(
        self, stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub", place: int
    ) -> None:
        loop = asyncio.get_running_loop()
        while not self._over:
            query = f"question {place} {self.answered}"
            began = loop.time()
            answer = await stub.Rerank(
                rerank_request(DOCUMENTS, query=query), timeout=PATIENCE_S
            )
            assert answer.execution.outcome == execution_pb2.OUTCOME_RERANKED
            self.slowest_s = max(self.slowest_s, loop.time() - began)
            self.answered += 1
            await asyncio.sleep(0.01)

    async def some_more(self) -> None:
        """Wait until some more calls are answered."""
        before = self.answered
        async with asyncio.timeout(PATIENCE_S):
            while self.answered < before + 20:  # noqa: ASYNC110 - calls are made beside
                await asyncio.sleep(0.01)

    async def until_dropped(self) -> None:
        """Wait until more spans are counted as dropped."""
        before = await self._dropped()
        async with asyncio.timeout(PATIENCE_S):
            while await self._dropped() == before:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def _dropped(self) -> float:
        shown = (await self._metrics.get("/metrics")).text
        found = re.search(r'_dropped_total\{[^}]*"traces"[^}]*\} (\S+)', shown)
        return float(found[1]) if found else 0.0


@asynccontextmanager
async def loaded(collector: Collector) -> AsyncIterator[Load]:
    """Run a gateway whose circuits open all the time, so that there are log records."""

    async def play(exchange: Exchange) -> None:
        scores = [{"index": place, "score": 0.5} for place in range(DOCUMENTS)]
        await reply_json(scores)(exchange)

    prefix = "RERANK_GATEWAY__BACKENDS"
    async with Vendor(play, info={"model_id": "played"}) as vendor:
        with refusing_url() as gone:
            environ = {
                f"{prefix}__GONE__DIALECT": "tei",
                f"{prefix}__GONE__URL": gone,
                f"{prefix}__GONE__FAILURES_IN_A_ROW": "1",
                f"{prefix}__GONE__COOLDOWN_S": "0.1",
                f"{prefix}__GONE__RETRIES": "0",
                f"{prefix}__PLAYED__DIALECT": "tei",
                f"{prefix}__PLAYED__URL": vendor.url,
                "RERANK_GATEWAY__ROUTES__DEFAULT__BACKENDS": '["gone", "played"]',
                "RERANK_GATEWAY__LOGS__CALLS": "none",
                "RERANK_GATEWAY__TELEMETRY__METRICS_ADDRESS": "127.0.0.1:0",
                **collector.environment,
            }
            async with serving(environ=environ) as gateway:
                said = await gateway.read_until("metrics at ")
                found = re.search(r"(http://\S+)/metrics", said)
                assert found
                async with httpx.AsyncClient(base_url=found[1]) as metrics:
                    yield Load(gateway, metrics)


async def _through_it_all(protocol: str) -> None:
    async with collecting(protocol) as collector, loaded(collector) as load:
        async with load.going_on():
            await collector.says(" spans")
            await load.some_more()
            collector.send_signal(KILLED)
            await collector.end()
            await load.until_dropped()
            await load.some_more()
            await collector.start()
            await collector.says(" spans")
            collector.send_signal(FROZEN)
            await load.until_dropped()
        assert load.slowest_s < LATE_S, protocol
        finished = await load.gateway.stop(signal.SIGTERM)
        assert finished.code == 0, finished.err


async def test_no_caller_notices_that_the_collector_dies_comes_back_and_freezes() -> (
    None
):
    async with asyncio.TaskGroup() as beside:
        for protocol in PROTOCOLS:
            beside.create_task(_through_it_all(protocol))


async def _end_without(
    protocol: str, fate: signal.Signals, ready: asyncio.Barrier
) -> None:
    loop = asyncio.get_running_loop()
    case = f"{fate.name} over {protocol}"
    async with collecting(protocol) as collector, loaded(collector) as load:
        await ready.wait()
        async with load.going_on():
            await collector.says(" spans")
            collector.send_signal(fate)
            # Few enough for the end to come while the first try is under way.
            await load.some_more()
        assert load.slowest_s < LATE_S, case
        began = loop.time()
        finished = await load.gateway.stop(signal.SIGTERM)
        assert loop.time() - began < END_S + BUSY_S, case
        assert finished.code == 0, finished.err
        about_it = re.findall(r"WARNING gateway\.telemetry.*", finished.err)
        assert 1 <= len(about_it) <= MOST_LINES, about_it
        assert "Traceback" not in finished.err, finished.err


async def test_the_end_comes_in_time_without_a_collector() -> None:
    cases = [(protocol, fate) for protocol in PROTOCOLS for fate in (KILLED, FROZEN)]
    ready = asyncio.Barrier(len(cases))
    async with asyncio.TaskGroup() as beside:
        for protocol, fate in cases:
            beside.create_task(_end_without(protocol, fate, ready))
