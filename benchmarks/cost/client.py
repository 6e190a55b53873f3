"""The loader in Python, for machines without Go: same arguments, same answer.

It needs about as much CPU as a server. See `benchmarks/native/loader` for what each means.
"""

import argparse
import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random

import aiohttp
import grpc.aio
import uvloop

from benchmarks.cost.payloads import appended, read

_SEED = 55
_WINDOW = 1 << 28
_TIMEOUT_S = 30

Call = Callable[[int], Awaitable[int]]
Stub = Callable[..., Awaitable[bytes]]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("address", "requests", "method", "path", "ca"):
        parser.add_argument(f"--{name}", default="")
    for name in ("text-field", "double-field", "documents", "in-flight", "first"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--poisson", action="store_true")
    said = parser.parse_args()
    authority = Path(said.ca).read_bytes() if said.ca else b""
    found = uvloop.run(_run(said, read(Path(said.requests)), authority))
    print(json.dumps(found))


async def _run(
    said: argparse.Namespace, requests: list[bytes], authority: bytes
) -> dict[str, object]:
    if said.method:
        return await _over_grpc(said, requests, authority)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        url = f"http://{said.address}{said.path}"
        headers = {"content-type": "application/json"}

        async def call(number: int) -> int:
            body = requests[number % len(requests)]
            async with session.post(url, data=body, headers=headers) as answer:
                answer.raise_for_status()
                return len(await answer.read())

        return await _loaded(said, call)


async def _over_grpc(
    said: argparse.Namespace, requests: list[bytes], authority: bytes
) -> dict[str, object]:
    options = [("grpc.max_receive_message_length", _WINDOW)]
    channel = grpc.aio.insecure_channel(said.address, options=options)
    if authority:
        trusted = grpc.ssl_channel_credentials(authority)
        channel = grpc.aio.secure_channel(said.address, trusted, options=options)
    async with channel:
        stub: Stub = channel.unary_unary(said.method)

        async def call(number: int) -> int:
            request = requests[number % len(requests)] + appended(
                number,
                text_field=said.text_field,
                double_field=said.double_field,
                documents=said.documents,
            )
            return len(await stub(request, timeout=_TIMEOUT_S))

        return await _loaded(said, call)


async def _loaded(said: argparse.Namespace, call: Call) -> dict[str, object]:
    await call(said.first)
    latencies: list[float] = []
    lengths: list[int] = []
    faults: list[str] = []
    latest = 0.0

    async def one(number: int, due: float) -> None:
        try:
            lengths.append(await call(said.first + 1 + number))
        except (grpc.aio.AioRpcError, aiohttp.ClientError) as error:
            faults.append(str(error))
            return
        latencies.append(time.perf_counter() - due)

    used, began = time.process_time(), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        if said.rate:
            chance, due = Random(_SEED), began  # noqa: S311 - it plays
            for number in range(said.calls):
                gap = chance.expovariate(1.0) if said.poisson else 1.0
                due += gap / said.rate
                await asyncio.sleep(max(due - time.perf_counter(), 0.0))
                latest = max(latest, time.perf_counter() - due)
                group.create_task(one(number, due))
        else:
            left = iter(range(said.calls))

            async def caller() -> None:
                for number in left:
                    await one(number, time.perf_counter())

            for _ in range(said.in_flight):
                group.create_task(caller())
    latencies.sort()

    def at(share: float) -> float:
        place = max(math.ceil(share * len(latencies)) - 1, 0)
        return 1e3 * latencies[place] if latencies else 0.0

    return {
        "calls": len(latencies),
        "errors": len(faults),
        "first_error": faults[0] if faults else "",
        "seconds": time.perf_counter() - began,
        "cpu_s": time.process_time() - used,
        "p50_ms": at(0.5),
        "p90_ms": at(0.9),
        "p99_ms": at(0.99),
        "p999_ms": at(0.999),
        "max_ms": at(1.0),
        "latest_send_ms": 1e3 * latest,
        "shortest_answer": min(lengths, default=0),
        "longest_answer": max(lengths, default=0),
    }


if __name__ == "__main__":
    main()
