"""Does a call notice that nobody takes the telemetry? `python -m benchmarks.telemetry.outage`.

A gateway that exports everything, under a steady load, while its collector is killed,
comes back, freezes, and comes back again; then the gateway is told to end without one.
Beside it, one that tells nothing is called as often: what both have is the machine's.
"""

import asyncio
import re
import signal
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.request import urlopen

import grpc.aio
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.cost.calls import a_request, one_round
from benchmarks.cost.processes import Running, running
from benchmarks.telemetry.mortal import collecting, free_port
from rerank.v1 import rerank_service_pb2_grpc

_DOCUMENTS = 20
_CHARACTERS = 200
_AT_ONCE = 8
_TRIED = 1500
"""Calls that tell how much the gateway can do."""
_SHARE = 1 / 3
_WARM_UP_S = 15.0
_PATIENCE_S = 60.0
_DEADLINE_S = 10.0
_MOST = 0.99
_EARLY = 0.25
"""Of a phase: when memory is looked at first."""
_DROPPED = re.compile(r'_dropped_total\{[^}]*signal="traces"[^}]*\} (\S+)')
_PROTOCOLS = ("grpc", "http/protobuf")


@dataclass(frozen=True, slots=True)
class Phase:
    """What callers and the system saw of the gateway for a while."""

    name: str
    latencies_s: list[float]
    failed: int
    cpu_us: float
    """Per call."""
    early_mib: float
    late_mib: float
    dropped: float
    """Spans."""
    beside_ms: float = 0.0
    """The 99th percentile of the gateway that tells nothing, at the same time."""

    def percentile_ms(self, share: float) -> float:
        """Give the time that a share of the calls did not take longer than."""
        ordered = sorted(self.latencies_s)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000


def main(
    *,
    seconds: Annotated[float, typer.Option(help="Per phase.")] = 30.0,
    outage: Annotated[float, typer.Option(help="While it is killed; 0: alike.")] = 0.0,
    rate: Annotated[
        float, typer.Option(help="Calls per second to each; 0: together a third.")
    ] = 0.0,
    protocol: Annotated[list[str], typer.Option(help="Of the export.")] = [*_PROTOCOLS],  # noqa: B006 - never changed
) -> None:
    """Measure latency, CPU time, memory and the end, with a collector and without."""
    out = Console(width=120)
    with (
        running("benchmarks.cost.backend") as backend,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        for each in protocol:
            phases, killed_s = _phases(
                runner, each, backend.address, rate, (seconds, outage or seconds)
            )
            frozen_s = _end_when_frozen(runner, each, backend.address)
            show(out, each, phases)
            out.print(
                f"{each}: the gateway ended {killed_s:.2f} s after SIGTERM with its"
                f" collector killed, {frozen_s:.2f} s with it frozen"
            )


def _phases(
    runner: asyncio.Runner,
    protocol: str,
    backend: str,
    rate: float,
    lasting_s: tuple[float, float],
) -> tuple[list[Phase], float]:
    seconds, outage = lasting_s
    with (
        collecting(protocol) as collector,
        _serving(collector.environ, backend) as (gateway, metrics),
        _serving({"OTEL_SDK_DISABLED": "true"}, backend) as silent,
    ):
        rate = rate or _share_of_what_it_can(runner, gateway) / 2
        print(f"{protocol}: {rate:.0f} calls per second to each of two", flush=True)

        async def both(name: str, for_s: float) -> Phase:
            measured, beside = await asyncio.gather(
                _phase(name, gateway, metrics, rate, for_s),
                _phase(name, *silent, rate, for_s),
            )
            return replace(measured, beside_ms=beside.percentile_ms(_MOST))

        def phase(name: str, for_s: float) -> Phase:
            measured = runner.run(both(name, for_s))
            print(f"  {name}: p99 {measured.percentile_ms(_MOST):.1f} ms", flush=True)
            return measured

        phase("warm-up", _WARM_UP_S)
        phases = [phase("alive", seconds)]
        collector.kill()
        phases.append(phase("killed", outage))
        collector.start()
        phases.append(phase("back", seconds))
        collector.freeze()
        phases.append(phase("frozen", seconds))
        collector.thaw()
        phases.append(phase("back", seconds))
        collector.kill()
        phase("killed, before the end", _WARM_UP_S / 3)
        return phases, _ended(gateway)


def _end_when_frozen(runner: asyncio.Runner, protocol: str, backend: str) -> float:
    """Say how long the end takes with a collector that stopped answering under load."""
    with (
        collecting(protocol) as collector,
        _serving(collector.environ, backend) as (gateway, _),
    ):
        request = a_request(_DOCUMENTS, _CHARACTERS)
        runner.run(one_round(gateway, request, _TRIED, _AT_ONCE))
        collector.freeze()
        runner.run(one_round(gateway, request, _TRIED, _AT_ONCE))
        return _ended(gateway)


@contextmanager
def _serving(environ: Mapping[str, str], backend: str) -> Iterator[tuple[Running, str]]:
    metrics = f"127.0.0.1:{free_port()}"
    prefix = "RERANK_GATEWAY__BACKENDS"
    with running(
        *("gateway", "serve", "--workers", "1", "--address", "127.0.0.1:0"),
        environ={
            f"{prefix}__CANNED__DIALECT": "tei",
            f"{prefix}__CANNED__URL": f"http://{backend}",
            # Its circuit opens again and again, for there to be log records.
            f"{prefix}__GONE__DIALECT": "tei",
            f"{prefix}__GONE__URL": f"http://127.0.0.1:{free_port()}",
            f"{prefix}__GONE__FAILURES_IN_A_ROW": "1",
            f"{prefix}__GONE__RETRIES": "0",
            "RERANK_GATEWAY__ROUTES__DEFAULT__BACKENDS": '["gone", "canned"]',
            "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
            "RERANK_GATEWAY__TELEMETRY__METRICS_ADDRESS": metrics,
            "RERANK_GATEWAY__LOGS__CALLS": "failed",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            **environ,
        },
    ) as gateway:
        yield gateway, metrics


def _share_of_what_it_can(runner: asyncio.Runner, gateway: Running) -> float:
    request = a_request(_DOCUMENTS, _CHARACTERS)
    for _ in range(2):  # the first one warms up
        found = runner.run(one_round(gateway, request, _TRIED, _AT_ONCE))
    return _SHARE * 1e6 / found.wall_us


async def _phase(
    name: str, gateway: Running, metrics: str, rate: float, for_s: float
) -> Phase:
    """Call at a steady rate, however long the answers take."""
    request = a_request(_DOCUMENTS, _CHARACTERS)
    latencies_s: list[float] = []
    failed = 0
    early_mib = 0.0
    dropped = await asyncio.to_thread(_dropped, metrics)

    async def call(
        stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub", due: float
    ) -> None:
        nonlocal failed
        try:
            answer = await stub.Rerank(request, timeout=_DEADLINE_S)
        except grpc.RpcError:
            failed += 1
        else:
            failed += answer.search_method != "rerank"
        # From when it was due: a caller who is late adds to it.
        latencies_s.append(time.perf_counter() - due)

    async with grpc.aio.insecure_channel(gateway.address) as channel:
        await channel.channel_ready()
        stub: rerank_service_pb2_grpc.RerankServiceAsyncStub
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        # Not uvloop's clock, which counts milliseconds.
        cpu_s, began = gateway.cpu_s(), time.perf_counter()
        async with asyncio.TaskGroup() as calls:
            for place in range(int(rate * for_s)):
                due = began + place / rate
                await asyncio.sleep(due - time.perf_counter())
                calls.create_task(call(stub, due))
                if not early_mib and due - began >= for_s * _EARLY:
                    early_mib = gateway.memory_mib()
        cpu_s = gateway.cpu_s() - cpu_s
    return Phase(
        name=name,
        latencies_s=latencies_s,
        failed=failed,
        cpu_us=cpu_s / len(latencies_s) * 1e6,
        early_mib=early_mib,
        late_mib=gateway.memory_mib(),
        dropped=await asyncio.to_thread(_dropped, metrics) - dropped,
    )


def _dropped(metrics: str) -> float:
    with urlopen(f"http://{metrics}/metrics", timeout=_PATIENCE_S) as answer:
        shown = answer.read().decode()
    found = _DROPPED.search(shown)
    return float(found[1]) if found else 0.0


def _ended(gateway: Running) -> float:
    """Tell the gateway to end, and say how long that takes."""
    began = time.perf_counter()
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(_PATIENCE_S)
    return time.perf_counter() - began


def show(out: Console, protocol: str, phases: list[Phase]) -> None:
    """Print a row per phase."""
    table = Table(
        *("collector", "calls", "failed", "p50 ms", "p99 ms", "beside"),
        *("CPU µs per call", "MiB early", "MiB late", "spans dropped"),
        title=f"everything is exported over {protocol}",
    )
    for each in phases:
        table.add_row(
            each.name,
            str(len(each.latencies_s)),
            str(each.failed),
            f"{statistics.median(each.latencies_s) * 1000:.1f}",
            f"{each.percentile_ms(_MOST):.1f}",
            f"{each.beside_ms:.1f}",
            f"{each.cpu_us:.0f}",
            f"{each.early_mib:.0f}",
            f"{each.late_mib:.0f}",
            f"{each.dropped:.0f}",
        )
    out.print(table)


if __name__ == "__main__":
    typer.run(main)
