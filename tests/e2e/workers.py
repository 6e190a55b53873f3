"""Speak to each worker of a gateway on its own, and look at their processes."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import orjson

from rerank.v1 import backend_service_pb2, backend_service_pb2_grpc
from tests.e2e.subprocesses import Serving, serving

COUNT = 2
_MOST_CONNECTIONS = 64

# Each has a connection of its own, which the system gives to one of the workers.
_APART = [("grpc.use_local_subchannel_pool", 1)]


@asynccontextmanager
async def several(
    *arguments: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Serving]:
    """Run `serve` with two workers, whose lines are objects."""
    async with serving(
        *("--workers", str(COUNT), *arguments),
        environ={"RERANK_GATEWAY__LOGS__FORMAT": "json", **(environ or {})},
    ) as server:
        yield server


@asynccontextmanager
async def a_connection(address: str) -> AsyncIterator[grpc.aio.Channel]:
    """Connect once, to whichever worker."""
    async with grpc.aio.insecure_channel(address, options=_APART) as channel:
        yield channel


async def served_by(server: Serving, channel: grpc.aio.Channel) -> int:
    """Tell which worker is at the other end: its line says so."""
    stub = backend_service_pb2_grpc.BackendServiceStub(channel)
    await stub.ListBackends(backend_service_pb2.ListBackendsRequest(), timeout=20)
    line = await server.read_until("BackendService/ListBackends OK")
    worker: int = orjson.loads(line)["worker"]
    return worker


@asynccontextmanager
async def to_each(server: Serving) -> AsyncIterator[dict[int, grpc.aio.Channel]]:
    """Connect until there is a connection to each worker; by its place."""
    async with AsyncExitStack() as open_ones:
        channels: dict[int, grpc.aio.Channel] = {}
        for _ in range(_MOST_CONNECTIONS):
            channel = await open_ones.enter_async_context(a_connection(server.address))
            channels.setdefault(await served_by(server, channel), channel)
            if len(channels) == COUNT:
                break
        assert sorted(channels) == list(range(COUNT))
        yield channels


def worker_processes(server: Serving) -> dict[int, int]:
    """Find the worker processes of a gateway, by their places."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it is gone
            continue
        if parent == server.pid and b"worker" in words:
            found[int(words[-2])] = int(folder.name)
    return found


def is_there(pid: int) -> bool:
    """Tell whether a process has not ended."""
    return Path(f"/proc/{pid}").exists()
