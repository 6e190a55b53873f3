"""Compare a gateway with the floor, in one run: `python -m benchmarks.cost`."""

import asyncio
import statistics
import time
from dataclasses import dataclass
from typing import Annotated

import grpc.aio
import typer
import uvloop
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.cost.processes import Running, running
from rerank.v1 import (
    document_pb2,
    options_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
)

_WARM_UP = 200


@dataclass(frozen=True, slots=True)
class Round:
    """What one server needed for one round of calls."""

    cpu_us: float
    """Per call."""
    wall_us: float
    """Per call, of all that were made at once."""


def main(
    *,
    documents: Annotated[int, typer.Option(help="Per call.")] = 100,
    characters: Annotated[int, typer.Option(help="Per document.")] = 400,
    calls: Annotated[int, typer.Option(help="Per round.")] = 500,
    rounds: Annotated[int, typer.Option(help="Of each server, in turn.")] = 7,
    at_once: Annotated[int, typer.Option(help="Calls in flight.")] = 8,
) -> None:
    """Measure the CPU time per call of a miss over HTTP against an echo."""
    request = a_request(documents, characters)
    with (
        running("benchmarks.cost.echo") as echo,
        running("benchmarks.cost.backend", str(documents)) as backend,
        running(
            *("gateway", "serve", "--workers", "1", "--address", "127.0.0.1:0"),
            environ={
                "RERANK_GATEWAY_BACKEND": f"tei+http://{backend.address}",
                "RERANK_GATEWAY__RETRIEVAL__ENGINE": "none",
            },
        ) as gateway,
    ):
        found: dict[str, list[Round]] = {"echo": [], "gateway": []}
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            for each in (echo, gateway):
                runner.run(one_round(each, request, _WARM_UP, at_once))
            # In turn, so that a machine that gets slower gets slower for both.
            for _ in track(range(rounds), description="measuring"):
                for name, each in (("echo", echo), ("gateway", gateway)):
                    a_round = runner.run(one_round(each, request, calls, at_once))
                    found[name].append(a_round)
        show(found, gateway.memory_mib(), f"{documents} documents of {characters} B")


def a_request(documents: int, characters: int) -> rerank_service_pb2.RerankRequest:
    """Make a request whose documents differ, as in life."""
    words = "reranking puts the best of what was found first "
    return rerank_service_pb2.RerankRequest(
        query="what does a gateway cost?",
        # A miss: neither remembered nor shared with the call beside it.
        cache=options_pb2.CacheOptions(mode=options_pb2.CACHE_MODE_BYPASS),
        documents=[
            document_pb2.Document(
                id=f"doc-{number}",
                text=(f"{number} " + words * (characters // len(words) + 1))[
                    :characters
                ],
            )
            for number in range(documents)
        ],
    )


async def one_round(
    server: Running,
    request: rerank_service_pb2.RerankRequest,
    calls: int,
    at_once: int,
) -> Round:
    """Make so many calls, so many of them at once, and see what the server needed."""
    left = iter(range(calls))
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)

        async def caller() -> None:
            for _ in left:
                answer = await stub.Rerank(request, timeout=10)
                if answer.search_method != "rerank":
                    message = f"the answer is no rerank: {answer.message}"
                    raise RuntimeError(message)

        cpu_s, began = server.cpu_s(), time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(caller())
        wall_s = time.perf_counter() - began
        return Round(
            cpu_us=(server.cpu_s() - cpu_s) / calls * 1e6, wall_us=wall_s / calls * 1e6
        )


def show(found: dict[str, list[Round]], memory_mib: float, payload: str) -> None:
    """Print medians, their spread, and the ratio."""
    table = Table(
        *("", "CPU µs per call", "min to max", "wall µs per call"),
        title=f"a miss over HTTP, {payload}",
    )
    for name, rounds in found.items():
        cpu = [each.cpu_us for each in rounds]
        wall = statistics.median(each.wall_us for each in rounds)
        table.add_row(
            name,
            f"{statistics.median(cpu):.0f}",
            f"{min(cpu):.0f} to {max(cpu):.0f}",
            f"{wall:.0f}",
        )
    ratio = statistics.median(
        gateway.cpu_us / echo.cpu_us
        for echo, gateway in zip(found["echo"], found["gateway"], strict=True)
    )
    out = Console(width=80)
    out.print(table)
    out.print(f"the gateway needs {ratio:.2f} times the CPU of an echo of the same")
    out.print(f"payload, and {memory_mib:.0f} MiB of memory")


if __name__ == "__main__":
    typer.run(main)
