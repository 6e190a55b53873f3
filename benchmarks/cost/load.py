"""Put a server under load, from a process of its own, and see what it needed for it."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cost.native import loader
from benchmarks.cost.processes import ROOT, Running

RERANK = "/rerank.v1.RerankService/Rerank"
SEARCH = "/rerank.v1.SearchService/Search"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom to ask what."""

    address: str
    requests: Path
    method: str = RERANK
    """Of gRPC; empty: HTTP."""
    path: str = "/rerank"
    """Of HTTP."""
    text_field: int = 0
    """A field that says another question in each call."""
    double_field: int = 0
    """A field that has another small number in each call."""
    documents: int = 0
    ca: str = ""
    """Whom to trust; empty: no TLS."""

    @property
    def arguments(self) -> list[str]:
        """Say it to the loader."""
        return [
            *("--address", self.address, "--requests", str(self.requests)),
            *("--method", self.method, "--path", self.path, "--ca", self.ca),
            *("--text-field", str(self.text_field)),
            *("--double-field", str(self.double_field)),
            *("--documents", str(self.documents)),
        ]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the loader says, and what the server used meanwhile."""

    calls: int
    errors: int
    first_error: str
    seconds: float
    cpu_s: float
    """Of the loader itself."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    latest_send_ms: float
    shortest_answer: int
    longest_answer: int
    used_s: dict[int, float] = field(default_factory=dict)
    """CPU time of each process of the server."""

    @property
    def rps(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds

    @property
    def cpu_us(self) -> float:
        """Per call."""
        return 1e6 * sum(self.used_s.values()) / self.calls


@dataclass(slots=True)
class _Numbers:
    """No two calls of a run have the same one: what is new to a gateway stays new."""

    next: int = 1

    def take(self, count: int) -> int:
        first = self.next
        self.next += count
        return first


_NUMBERS = _Numbers()


def closed(
    target: Target,
    *,
    of: Running,
    calls: int,
    in_flight: int = 8,
    connections: int = 8,
) -> Loaded:
    """Have so many calls under way always."""
    more = ["--in-flight", str(in_flight), "--connections", str(connections)]
    return _load(target, of, calls, more)


def opened(
    target: Target, *, of: Running, calls: int, rate: float, poisson: bool = False
) -> Loaded:
    """Begin calls on time, whatever becomes of those before."""
    more = ["--rate", str(rate)]
    if poisson:
        more.append("--poisson")
    return _load(target, of, calls, more)


def _load(target: Target, of: Running, calls: int, more: list[str]) -> Loaded:
    # One call comes beforehand, and connects.
    first = _NUMBERS.take(calls + 1)
    before = of.cpu_by_process()
    done = subprocess.run(
        [
            *(*loader(), *target.arguments, *more),
            *("--calls", str(calls), "--first", str(first)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
    )
    after = of.cpu_by_process()
    used = {each: cpu_s - before.get(each, 0.0) for each, cpu_s in after.items()}
    loaded = Loaded(**json.loads(done.stdout), used_s=used)
    if loaded.errors or not loaded.calls:
        message = f"{loaded.errors} of {calls} calls failed: {loaded.first_error}"
        raise RuntimeError(message)
    return loaded
