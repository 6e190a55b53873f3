"""Replace the configuration again and again under load: `python -m benchmarks.soak.reloads`.

Every third configuration is broken. No call may fail, nothing may grow, and in the end the
last one that was right serves (Linux only).
"""

import asyncio
import os
import signal
import tempfile
import time
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from statistics import median
from typing import Annotated

import grpc
import typer

from benchmarks.soak.process import Gateway, Sample, serving
from rerank.v1 import execution_pb2, rerank_service_pb2_grpc
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Vendor

_CALLERS = 4
_PATIENCE_S = 60.0
_BROKEN = 3
"""Every so many is."""
_NAMES = 7
"""That come and go."""
_GROWTH = 0.05
_SPARE = 16
_PARTS = 5
_WARM_UP = 0.1
"""Of all reloads: until everything is full that fills."""

(_SHAPE,) = SHAPES["tei"]


@dataclass(slots=True)
class Figures:
    """What was seen."""

    samples: list[Sample] = field(default_factory=list)
    """One after each reload."""
    durations_s: list[float] = field(default_factory=list)
    """From the signal to the line that says how it went."""
    answers: int = 0
    wrong: list[str] = field(default_factory=list)
    """Calls that failed or fell back, and whatever else is not as it must be."""

    def medians(self, of: str) -> tuple[float, float]:
        """Compare the first part after the warm-up with the last."""
        values = [getattr(each, of) for each in self.samples]
        values = values[int(len(values) * _WARM_UP) :]
        part = max(len(values) // _PARTS, 1)
        return median(values[:part]), median(values[-part:])

    @property
    def complaints(self) -> list[str]:
        """Name what is not as it must be."""
        found = [*self.wrong[:5]]
        first, last = self.medians("memory_kib")
        if last > first * (1 + _GROWTH):
            found.append(f"memory grew from {first} to {last} KiB")
        for what in ("sockets", "files", "threads"):
            first, last = self.medians(what)
            if last > first + _SPARE:
                found.append(f"{what} grew from {first} to {last}")
        return found


async def reload_often(times: int) -> Figures:
    """Reload so many times, and look at each."""
    seen = Figures()
    async with (
        Vendor(_SHAPE.scored(place_of), info=_SHAPE.info) as kept,
        Vendor(_SHAPE.scored(place_of), info=_SHAPE.info) as changing,
    ):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "gateway.toml"
            _write(file, 0, kept, changing)
            environ = {
                "RERANK_GATEWAY__SERVER__WATCH_S": "0",
                "RERANK_GATEWAY__LOGS__CALLS": "none",
            }
            async with (
                serving(environ, "--config", str(file)) as gateway,
                grpc.aio.insecure_channel(gateway.address) as channel,
            ):
                stub: rerank_service_pb2_grpc.RerankServiceAsyncStub
                stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
                async with asyncio.TaskGroup() as group:
                    callers = [
                        group.create_task(_call(stub, seen, number))
                        for number in range(_CALLERS)
                    ]
                    for place in range(1, times + 1):
                        _write(file, place, kept, changing)
                        await _reload(gateway, place, seen)
                        seen.samples.append(gateway.sample())
                        kept.received.clear()
                        changing.received.clear()
                    for each in callers:
                        each.cancel()
                right = times - _is_broken(times)
                answer = await stub.Rerank(rerank_request(2, query="the last"))
                if answer.execution.backend != _name(right):
                    seen.wrong.append(f"in the end {answer.execution.backend} serves")
    return seen


def _is_broken(place: int) -> bool:
    return place % _BROKEN == _BROKEN - 1


def _name(place: int) -> str:
    return f"changing_{place % _NAMES}"


def _write(file: Path, place: int, kept: Vendor, changing: Vendor) -> None:
    name = _name(place)
    url = "no url" if _is_broken(place) else changing.url
    beside = file.with_suffix(".new")
    beside.write_text(
        f"""
        routes.default.backends = ["{name}", "kept"]
        cache.ttl_s = {100 + place // 10}
        server.max_lag_s = 60.0
        [backends.{name}]
        dialect = "tei"
        url = "{url}"
        timeout_s = {10 + place / 1000}
        [backends.kept]
        dialect = "tei"
        url = "{kept.url}"
        """
    )
    beside.rename(file)


async def _reload(gateway: Gateway, place: int, seen: Figures) -> None:
    began = time.perf_counter()
    os.kill(gateway.pid, signal.SIGHUP)
    async with asyncio.timeout(_PATIENCE_S):
        while True:
            said = gateway.said()
            if said.count("(SIGHUP)") >= place:
                break
            await asyncio.sleep(0.005)
    seen.durations_s.append(time.perf_counter() - began)
    refused = "was not reloaded" in said.rstrip().rpartition("the configuration")[2]
    if refused != _is_broken(place):
        seen.wrong.append(f"reload {place} was {'' if refused else 'not '}refused")


async def _call(
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub", seen: Figures, number: int
) -> None:
    for each in count():
        request = rerank_request(5, query=f"{number} {each}")
        try:
            answer = await stub.Rerank(request, timeout=_PATIENCE_S)
        except grpc.aio.AioRpcError as error:
            seen.wrong.append(f"{error.code().name}: {error.details()}")
            continue
        seen.answers += 1
        if answer.fallback_triggered:
            reason = execution_pb2.FallbackReason.Name(answer.execution.fallback_reason)
            seen.wrong.append(f"an answer fell back: {reason}")


def main(*, times: Annotated[int, typer.Option(help="Reloads.")] = 1000) -> None:
    """Reload under load, and see that no call fails and nothing grows."""
    seen = asyncio.run(reload_often(times))
    slow = sorted(seen.durations_s)[int(len(seen.durations_s) * 0.99)]
    print(f"{times} reloads, {seen.answers} answers, {len(seen.wrong)} wrong")
    print(f"a reload: p50 {median(seen.durations_s):.3f} s, p99 {slow:.3f} s")
    for what in ("memory_kib", "sockets", "files", "threads"):
        first, last = seen.medians(what)
        print(f"{what}: {first:.0f}, at the end {last:.0f}")
    for complaint in seen.complaints:
        print(f"NOT WELL: {complaint}")
    if seen.complaints:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
