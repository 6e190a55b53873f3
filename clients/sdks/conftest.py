import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from clients.conformance.played import UP_AGAIN
from clients.sdks.asking import Gateway

ROOT = Path(__file__).parents[2]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """The gateway of the conformance table, over played rerankers."""
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
        yield Gateway(**json.loads(line))
    finally:
        process.stdin.close()
        process.stdout.close()
        process.wait()


@pytest.fixture(autouse=True)
def nobody_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of these SDKs sleep before they repeat a request: none of them may have to."""

    def sleep(seconds: float) -> None:
        pytest.fail(f"an SDK repeats its request, after {seconds:g} s")

    monkeypatch.setattr(time, "sleep", sleep)


@pytest.fixture(autouse=True)
def the_circuit_stays_closed(gateway: Gateway) -> Iterator[None]:
    """So many tests ask `down` that it would not be asked any more."""
    yield
    assert gateway.scores(query=UP_AGAIN, route="down")[0][1] is not None
