"""What is watched in the tests of what watches it."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.collectors import Collector, a_collector
from tests.deploy.load import a_busy_gateway
from tests.deploy.places import free_port

LOAD_S = 20.0


@dataclass(frozen=True)
class Watched:
    """A gateway that shows its metrics."""

    metrics_address: str
    """HOST:PORT of its /metrics."""
    load: Callable[[float], Awaitable[None]]
    """Has it do all that it can show, for so many seconds."""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """Run what takes the spans of the gateway."""
    with a_collector(tmp_path) as running:
        yield running


@pytest.fixture
async def watched(tmp_path: Path, collector: Collector) -> AsyncIterator[Watched]:
    """Run a gateway, or take one that is under load already."""
    address = os.environ.get("GATEWAY_METRICS_ADDRESS")
    if address:
        yield Watched(address, load=asyncio.sleep)
        return
    address = f"127.0.0.1:{free_port()}"
    async with a_busy_gateway(
        tmp_path, metrics_address=address, collector=collector.endpoint
    ) as load:
        yield Watched(address, load)
