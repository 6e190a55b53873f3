"""What tenants cost, and what a greedy one does to others: `python -m benchmarks.tenants`.

First the CPU time and the latency of a call, with and without a ledger. Then how long a
modest tenant waits, alone and beside a greedy one that keeps three times as many calls open
as the backend takes, which are sixteen of about 0.1 s: so the processors have little to do, and
what is measured is who waits for whom.
"""

import asyncio
import json
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import grpc.aio
import typer
import uvloop
from aiohttp import web
from rich.console import Console
from rich.table import Table

from benchmarks.cost.calls import a_request, one_round
from benchmarks.cost.processes import Running, running
from rerank.v1 import rerank_service_pb2_grpc

_DOCUMENTS = 20
_CHARACTERS = 200
_ROUNDS = 5
_CALLS = 200
_GREEDY = 48
_IN_FLIGHT = 16
_TAKES_S = 0.1
_PAUSE_S = 0.02
# Who is refused has no use for coming at once.
_REFUSED_S = 1.0
_DEADLINE_S = 30.0

_PREFIX = "RERANK_GATEWAY"


def main(
    calls: Annotated[int, typer.Option(help="Of the modest tenant, each time.")] = 300,
) -> None:
    """Measure both, and print two tables."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(calls))


async def _main(calls: int) -> None:
    out = Console()
    async with _backend(0.0) as quick:
        table = Table(
            "a call of 20 documents", "CPU µs", "µs, 1 at once", "µs, 16 at once"
        )
        for name, environ in (
            ("without tenants", {}),
            ("with a ledger", _tenants()),
            (
                "with a ledger and fsync",
                {**_tenants(), f"{_PREFIX}__LEDGER__FSYNC": "1"},
            ),
        ):
            with _gateway(quick, environ) as gateway:
                cpu, one, many = await _cost(gateway)
            table.add_row(name, f"{cpu:.0f}", f"{one:.0f}", f"{many:.0f}")
        out.print(table)
    async with _backend(_TAKES_S) as slow:
        table = Table("a modest tenant", "p50 ms", "p99 ms")
        none_kept = {f"{_PREFIX}__BACKENDS__SLOW__KEPT_FREE": "0"}
        for name, environ, greedy in (
            ("alone", {}, 0),
            ("beside a greedy one", {}, _GREEDY),
            ("beside it, with kept_free = 0", none_kept, _GREEDY),
        ):
            with _gateway(slow, {**_tenants(), **_keys(), **environ}) as gateway:
                took = sorted(await _waited(gateway, calls, greedy))
            table.add_row(
                name,
                f"{took[len(took) // 2] * 1000:.1f}",
                f"{took[int(len(took) * 0.99)] * 1000:.1f}",
            )
        out.print(table)


async def _cost(gateway: Running) -> tuple[float, float, float]:
    """Give CPU time and time per call, and the latter of sixteen at once."""
    request = a_request(_DOCUMENTS, _CHARACTERS)
    await one_round(gateway, request, _CALLS, _IN_FLIGHT)
    ones = [await one_round(gateway, request, _CALLS, 1) for _ in range(_ROUNDS)]
    many = [await one_round(gateway, request, _CALLS, 16) for _ in range(_ROUNDS)]
    return (
        min(each.cpu_us for each in many),
        min(each.wall_us for each in ones),
        min(each.wall_us for each in many),
    )


async def _waited(gateway: Running, calls: int, greedy: int) -> list[float]:
    """Give how long each call of the modest tenant took."""
    request = a_request(_DOCUMENTS, _CHARACTERS)
    took: list[float] = []
    async with grpc.aio.insecure_channel(gateway.address) as channel:
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)

        async def grab() -> None:
            while True:
                answer = await stub.Rerank(
                    request, timeout=_DEADLINE_S, metadata=_shown_by("greedy")
                )
                if answer.search_method != "rerank":
                    await asyncio.sleep(_REFUSED_S)

        grabbing = [asyncio.create_task(grab()) for _ in range(greedy)]
        await asyncio.sleep(1)
        for _ in range(calls):
            began = time.perf_counter()
            answer = await stub.Rerank(
                request, timeout=_DEADLINE_S, metadata=_shown_by("modest")
            )
            if answer.search_method != "rerank":
                message = f"the answer is no rerank: {answer.message}"
                raise RuntimeError(message)
            took.append(time.perf_counter() - began)
            await asyncio.sleep(_PAUSE_S)
        for each in grabbing:
            each.cancel()
        await asyncio.gather(*grabbing, return_exceptions=True)
    return took


def _tenants() -> Mapping[str, str]:
    return {
        f"{_PREFIX}__TENANTS__{name}__DAILY__SLOW__CALLS": "100000000"
        for name in ("GREEDY", "MODEST", "ANONYMOUS")
    }


def _keys() -> Mapping[str, str]:
    keys = f"{_PREFIX}__IDENTITY__KEYS"
    return {
        f"{_PREFIX}__IDENTITY__MODE": "keys",
        **{
            f"{keys}__{name.upper()}__SHA256": sha256(_key(name).encode()).hexdigest()
            for name in ("greedy", "modest")
        },
    }


def _shown_by(tenant: str) -> tuple[tuple[str, str]]:
    return (("authorization", f"Bearer {_key(tenant)}"),)


def _key(tenant: str) -> str:
    return f"key-of-{tenant}"


@contextmanager
def _gateway(backend: str, environ: Mapping[str, str]) -> Iterator[Running]:
    with (
        tempfile.TemporaryDirectory() as folder,
        running(
            *("gateway", "serve", "--workers", "1"),
            *("--address", "127.0.0.1:0"),
            environ={
                f"{_PREFIX}__BACKENDS__SLOW__DIALECT": "tei",
                f"{_PREFIX}__BACKENDS__SLOW__URL": backend,
                f"{_PREFIX}__BACKENDS__SLOW__MAX_IN_FLIGHT": str(_IN_FLIGHT),
                f"{_PREFIX}__ROUTES__DEFAULT__BACKENDS": '["slow"]',
                f"{_PREFIX}__RETRIEVAL__ENGINE": "none",
                f"{_PREFIX}__SERVER__MAX_CALLS": "1000",
                f"{_PREFIX}__LOGS__CALLS": "none",
                f"{_PREFIX}__LEDGER__PATH": str(Path(folder) / "ledger.sqlite"),
                **environ,
            },
        ) as gateway,
    ):
        yield gateway


@asynccontextmanager
async def _backend(takes_s: float) -> AsyncIterator[str]:
    """Serve TEI's answers, which take about so long."""
    chance = random.Random(7)  # noqa: S311 - the same every time

    async def rerank(request: web.Request) -> web.Response:
        asked = await request.json()
        if takes_s:
            await asyncio.sleep(takes_s * chance.uniform(0.8, 1.2))
        scores = [
            {"index": place, "score": 1 / (1 + place)}
            for place in range(len(asked["texts"]))
        ]
        return web.Response(body=json.dumps(scores), content_type="application/json")

    async def info(_: web.Request) -> web.Response:
        return web.json_response({"model_id": "canned", "max_client_batch_size": 1000})

    app = web.Application()
    app.router.add_post("/rerank", rerank)
    app.router.add_get("/info", info)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    typer.run(main)
