"""Calls out of this very process: for what is compared only with itself."""

import asyncio
import time
from dataclasses import dataclass

import grpc.aio

from benchmarks.cost.payloads import Payload, rerank_request
from benchmarks.cost.processes import Running
from rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc


@dataclass(frozen=True, slots=True)
class Round:
    """What one server needed for one round of calls."""

    cpu_us: float
    """Per call."""
    wall_us: float
    """Per call, of all that were made at once."""


def a_request(documents: int, characters: int) -> rerank_service_pb2.RerankRequest:
    """Make a request that is neither remembered nor shared with the call beside it."""
    return rerank_request(Payload(documents, characters), bypass=True)


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
