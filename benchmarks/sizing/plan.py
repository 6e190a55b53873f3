"""From the cost of a call to the number of gateways."""

import math
from dataclasses import dataclass

from benchmarks.sizing.tiers import Hits, Log, predicted

BUSY = 0.7
"""How much of a core is planned to be used."""
CORES = 2
"""Of one replica, with a worker on each."""

_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class CallCost:
    """CPU time per call, in microseconds, by where its scores come from."""

    process: float
    shared: float
    backend: float

    def of(self, hits: Hits) -> float:
        """Give the mean."""
        return (
            hits.process * self.process
            + hits.shared * self.shared
            + hits.missed * self.backend
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """What a load needs."""

    rps: float
    hits: Hits
    cpu_us: float
    replicas: int

    @property
    def processes(self) -> int:
        """One per core."""
        return self.replicas * CORES


def replicas(rps: float, cpu_us: float) -> int:
    """Tell how many replicas so many calls of such a cost need."""
    return max(math.ceil(rps * cpu_us / 1e6 / BUSY / CORES), 1)


def planned(
    log: Log, cost: CallCost, *, rps: float, queries_held: int, ttl_s: float
) -> Plan:
    """Find how many replicas a load needs.

    The more there are, the less each of them sees twice, and the more of them are needed:
    looked for from below.
    """
    count = 1
    for _ in range(_ROUNDS):
        hits = predicted(
            log,
            rps=rps,
            processes=count * CORES,
            queries_held=queries_held,
            ttl_s=ttl_s,
        )
        needed = replicas(rps, cost.of(hits))
        if needed <= count:
            break
        count = needed
    return Plan(rps, hits, cost.of(hits), count)
