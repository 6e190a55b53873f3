"""What is watched in the tests of what watches it."""

import asyncio
import inspect
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.cli.serve import serve
from tests.deploy.load import a_busy_gateway

LOAD_S = 20.0


@dataclass(frozen=True)
class Watched:
    """A gateway that shows its metrics."""

    metrics_address: str
    """HOST:PORT of its /metrics."""
    load: Callable[[float], Awaitable[None]]
    """Has it do all that it can show, for so many seconds."""


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Run a gateway, or take one that is under load already."""
    address = os.environ.get("GATEWAY_METRICS_ADDRESS")
    if address:
        yield Watched(address, load=asyncio.sleep)
        return
    if "metrics_address" not in inspect.signature(serve).parameters:
        pytest.skip("the gateway does not show metrics yet")
    address = f"127.0.0.1:{_free_port()}"
    async with a_busy_gateway(tmp_path, "--metrics-address", address) as load:
        yield Watched(address, load)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
