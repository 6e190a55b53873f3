"""What a call costs as one thing grows and everything else stays."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.cost.asking import check, other_query, same
from benchmarks.cost.contest import FLOOR, Contestant, Effort, contest
from benchmarks.cost.load import closed
from benchmarks.cost.names import FULL, MISS
from benchmarks.cost.payloads import Payload
from benchmarks.cost.processes import Running
from benchmarks.cost.servers import Servers, gateway

_LINEAR = 1.1
_UNUSED = "127.0.0.1:9"
_FILLING = 1000
_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Grown:
    """CPU time per call at each size."""

    what: str
    sizes: list[float]
    cpu_us: dict[str, list[float]]
    """By what is asked; one per size."""

    def line(self, name: str) -> tuple[float, float]:
        """Fit a line: its constant, and what each one more costs, both in microseconds."""
        # Relative errors count: the large ones shall not decide alone.
        sizes, costs = np.array(self.sizes), np.array(self.cpu_us[name])
        slope, constant = np.polyfit(sizes, costs, 1, w=1 / costs)
        return float(constant), float(slope)

    def exponent(self, name: str) -> float:
        """Give the power that the cost grows with at the upper end: 1 is linear."""
        sizes, costs = self.sizes[-2:], self.cpu_us[name][-2:]
        return math.log(costs[1] / costs[0]) / math.log(sizes[1] / sizes[0])

    def is_linear(self, name: str) -> bool:
        """Whether it is linear or better, give or take what two runs differ by."""
        return self.exponent(name) <= _LINEAR


def _grown(
    what: str,
    sizes: Iterable[float],
    contestants: Callable[[float], Mapping[str, Contestant]],
    effort: Effort,
) -> Grown:
    sizes = list(sizes)
    costs: dict[str, list[float]] = {}
    for size in sizes:
        for name, cost in contest(contestants(size), effort).items():
            costs.setdefault(name, []).append(cost.cpu_us)
    return Grown(what, sizes, costs)


@dataclass(frozen=True, slots=True)
class Standing:
    """Servers that are there for all of it: one remembers, the other never has to."""

    echo: Running
    hit: Running
    miss: Running

    def of(self, payload: Payload, *, in_flight: int = 8) -> dict[str, Contestant]:
        """Ask all three."""
        check(self.hit, payload)
        targets = {
            FLOOR: (self.echo, same(self.echo, payload)),
            FULL: (self.hit, same(self.hit, payload)),
            MISS: (self.miss, other_query(self.miss, payload)),
        }
        return {
            name: Contestant(server, target, in_flight)
            for name, (server, target) in targets.items()
        }


def documents(servers: Standing, effort: Effort) -> Grown:
    return _grown(
        "documents of 0.4 KB",
        (1, 10, 30, 100, 300, 1000),
        lambda size: servers.of(Payload(documents=int(size))),
        effort,
    )


def characters(servers: Standing, effort: Effort) -> Grown:
    return _grown(
        "KB of each of 100 documents",
        (0.1, 0.4, 1, 4, 16),
        lambda size: servers.of(Payload(characters=int(1000 * size))),
        effort,
    )


def at_once(servers: Standing, effort: Effort) -> Grown:
    return _grown(
        "calls at once",
        (1, 4, 16, 64, 256),
        lambda size: servers.of(Payload(), in_flight=int(size)),
        effort,
    )


def backends(running: Servers, effort: Effort, counts: Iterable[int]) -> Grown:
    """Configure more and more backends, of which one is asked."""
    payload = Payload()

    def contestants(size: float) -> dict[str, Contestant]:
        server = running.enter(
            gateway(running.backend.tei, _unused_backends(int(size) - 1))
        )
        check(server, payload)
        return {
            FULL: Contestant(server, same(server, payload)),
            MISS: Contestant(server, other_query(server, payload)),
        }

    return _grown("backends configured", counts, contestants, effort)


def _unused_backends(count: int) -> dict[str, str]:
    found = {}
    for number in range(count):
        place = f"RERANK_GATEWAY__BACKENDS__UNUSED{number}__"
        found[f"{place}DIALECT"] = "tei"
        found[f"{place}URL"] = f"http://{_UNUSED}"
    return found


@dataclass(frozen=True, slots=True)
class Filled:
    """A memory of growing size."""

    growth: Grown
    bytes_per_pair: float
    """Resident, of a process that remembers as many as were measured at most."""


def cache(running: Servers, effort: Effort, pairs: Iterable[int]) -> Filled:
    """Fill the memory of a gateway more and more, and ask for what it remembers."""
    payload, filling = Payload(), Payload(documents=_FILLING, characters=100)
    server = running.enter(
        gateway(
            running.backend.tei,
            {"RERANK_GATEWAY__CACHE__MAX_BYTES": str(2 * _GIB)},
        )
    )
    check(server, payload)
    # What it takes once, it has taken before the first look.
    closed(other_query(server, filling), of=server, calls=5)
    held, empty_mib = 6 * _FILLING, server.memory_mib()
    first, full_mib = held, empty_mib

    def contestants(size: float) -> dict[str, Contestant]:
        nonlocal held, full_mib
        calls = (int(size) - held) // _FILLING
        if calls > 1:
            closed(other_query(server, filling), of=server, calls=calls - 1)
            held += calls * _FILLING
        full_mib = server.memory_mib()
        return {FULL: Contestant(server, same(server, payload))}

    growth = _grown("pairs remembered", pairs, contestants, effort)
    grown = max(held - first, 1)
    return Filled(growth, (full_mib - empty_mib) * 2**20 / grown)
