import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rerank_client import AsyncRerankClient, RerankClient

# Before Haystack is imported: a test tells nobody that it ran.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

HERE = Path(__file__).parents[1]
ROOT = HERE.parents[1]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
async def one_event_loop(anyio_backend: str) -> AsyncIterator[None]:
    """Keep the loop of the first test: gRPC may tell it later that a call has ended."""
    del anyio_backend
    yield  # noqa: PT022 - the loop goes on until here


@contextmanager
def a_gateway() -> Iterator[str]:
    """Run the gateway of the conformance table, over played rerankers; its address."""
    process = subprocess.Popen(
        [str(ROOT / ".venv/bin/python"), "-m", "clients.conformance"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([".", "protos"])},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line, "the gateway did not start"
        yield json.loads(line)["address"]
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.fixture(scope="session")
def gateway() -> Iterator[str]:
    with a_gateway() as address:
        yield address


@pytest.fixture
def client(gateway: str) -> Iterator[RerankClient]:
    with RerankClient(gateway) as client:
        yield client


@pytest.fixture
async def async_client(gateway: str) -> AsyncIterator[AsyncRerankClient]:
    async with AsyncRerankClient(gateway) as client:
        yield client
