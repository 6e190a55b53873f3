"""Compare gateways that tell nothing, numbers, and every trace: `python -m benchmarks.telemetry`.

In one run, of calls that are answered from memory: those are the cheapest, so that what
telemetry adds is the largest part of them.
"""

import asyncio
import statistics
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.cost.calls import Round, a_request, one_round
from benchmarks.cost.processes import running

_WARM_UP = 300
_EXPORTED_S = 0.8

_NOTHING = "nothing"
_NUMBERS = "numbers, no trace sampled"
_ALL = "numbers and every trace, exported"


def main(
    *,
    documents: Annotated[int, typer.Option(help="Per call.")] = 100,
    characters: Annotated[int, typer.Option(help="Per document.")] = 400,
    calls: Annotated[int, typer.Option(help="Per round.")] = 500,
    rounds: Annotated[int, typer.Option(help="Of each gateway, in turn.")] = 15,
    at_once: Annotated[int, typer.Option(help="Calls in flight.")] = 8,
) -> None:
    """Measure the CPU time per remembered call with and without telemetry."""
    request = a_request(documents, characters)
    request.ClearField("cache")
    with ExitStack() as started:
        backend = started.enter_context(running("benchmarks.cost.backend"))
        collector = started.enter_context(running("benchmarks.telemetry.collector"))
        exports = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{collector.address}",
            "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
            "OTEL_METRIC_EXPORT_INTERVAL": "10000",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        told = {
            _NOTHING: {"OTEL_SDK_DISABLED": "true"},
            _NUMBERS: {**exports, "OTEL_TRACES_SAMPLER": "parentbased_always_off"},
            _ALL: {**exports, "OTEL_TRACES_SAMPLER": "parentbased_always_on"},
        }
        gateways = {
            name: started.enter_context(
                running(
                    *("gateway", "serve", "--workers", "1", "--address", "127.0.0.1:0"),
                    environ={
                        "RERANK_GATEWAY_BACKEND": f"tei+http://{backend.address}",
                        "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
                        # A traced call does all that there is to see, and is never
                        # given again as it was: compared are calls that do the same.
                        "RERANK_GATEWAY__CACHE__MAX_ANSWER_BYTES": "0",
                        # What is remembered must last to the end.
                        "RERANK_GATEWAY__CACHE__TTL_S": "3600",
                        **environ,
                    },
                )
            )
            for name, environ in told.items()
        }
        found: dict[str, list[Round]] = {name: [] for name in gateways}
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for each in gateways.values():
                runner.run(one_round(each, request, _WARM_UP, at_once))
            # In turn, so that a machine that gets slower gets slower for all.
            for _ in track(range(rounds), description="measuring"):
                for name, each in gateways.items():
                    before_s = each.cpu_s()
                    a_round = runner.run(one_round(each, request, calls, at_once))
                    # What is exported afterwards belongs to these calls.
                    time.sleep(_EXPORTED_S)
                    cpu_us = (each.cpu_s() - before_s) / calls * 1e6
                    found[name].append(replace(a_round, cpu_us=cpu_us))
        show(found, f"{documents} documents of {characters} B")


def show(found: dict[str, list[Round]], payload: str) -> None:
    """Print medians, their spread, and what is added."""
    table = Table(
        *("telling", "CPU µs per call", "min to max", "more"),
        title=f"a call answered from memory, {payload}",
    )
    silent = found[_NOTHING]
    for name, rounds in found.items():
        cpu = [each.cpu_us for each in rounds]
        more = statistics.median(
            each.cpu_us / beside.cpu_us
            for each, beside in zip(rounds, silent, strict=True)
        )
        table.add_row(
            name,
            f"{statistics.median(cpu):.0f}",
            f"{min(cpu):.0f} to {max(cpu):.0f}",
            f"{100 * (more - 1):+.1f} %",
        )
    Console(width=88).print(table)


if __name__ == "__main__":
    typer.run(main)
