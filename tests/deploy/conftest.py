"""What is watched in the tests of what watches it."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Watched:
    """A gateway that shows its metrics."""

    metrics_address: str
    """HOST:PORT of its /metrics."""
    load: Callable[[], None]
    """Has it do all that it can show, for some twenty seconds: answers of two backends,
    faults, retries, hedges, a circuit that opens, everything that the cache can say,
    searches with MMR, billed units."""


@pytest.fixture
def watched() -> Watched:
    """Take a gateway that runs already, and is under load."""
    address = os.environ.get("GATEWAY_METRICS_ADDRESS")
    if not address:
        pytest.skip("no gateway to watch: GATEWAY_METRICS_ADDRESS=HOST:PORT")
    return Watched(address, load=lambda: time.sleep(20))
