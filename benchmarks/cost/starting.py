"""How long a gateway takes from nothing to its first answer, and what it holds then."""

import statistics
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cost.asking import answer
from benchmarks.cost.payloads import Payload, rerank_request
from benchmarks.cost.servers import gateway


@dataclass(frozen=True, slots=True)
class Start:
    """Medians over several starts."""

    first_answer_s: float
    idle_mib: float
    """Resident, of one worker, before the first call."""
    after_mib: float
    """After it."""


def start(url: str, *, times: int, environ: Mapping[str, str] | None = None) -> Start:
    """Start it some times, and ask once.

    Args:
        url: Of the backend; empty: the built-in model reranks.
        times: How often.
        environ: More settings.

    """
    took, idle, after = [], [], []
    request = rerank_request(Payload(documents=10))
    for _ in range(times):
        began = time.perf_counter()
        with gateway(url, environ) as started:
            idle_mib = started.memory_mib()
            answer(started.address, request)
            took.append(time.perf_counter() - began)
            after.append(started.memory_mib())
            idle.append(idle_mib)
    return Start(
        statistics.median(took), statistics.median(idle), statistics.median(after)
    )


def start_with_everything(*, times: int) -> Start:
    """Start it as it comes: with the embedded engine, and the built-in model."""
    with tempfile.TemporaryDirectory() as folder:
        everything = {
            "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
            "RERANK_GATEWAY__RETRIEVAL__PATH": folder,
        }
        return start("", times=times, environ=everything)
