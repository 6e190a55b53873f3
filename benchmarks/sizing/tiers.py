"""How often each tier of the memory has the answer, by formula.

A query with Poisson arrivals at rate λ, in a memory that forgets what was not used for a
characteristic time (Che's approximation of LRU) and whatever is older than its TTL.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rates = NDArray[np.float64]

_STEPS = 60
_GROUPS = 2000


@dataclass(frozen=True, slots=True)
class Log:
    """Queries as people ask them: few are asked often, many once (Zipf)."""

    distinct: int
    exponent: float

    def shares(self) -> Rates:
        """Give what each query is of all calls, the commonest first."""
        weights = 1.0 / np.arange(1, self.distinct + 1) ** self.exponent
        return np.asarray(weights / weights.sum())

    def groups(self) -> tuple[Rates, Rates]:
        """Give the mean share of queries of much the same one, and how many they are."""
        shares = self.shares()
        ends = np.unique(np.geomspace(1, self.distinct, _GROUPS).astype(int))
        starts = np.concatenate([[0], ends[:-1]])
        counts = (ends - starts).astype(float)
        return np.add.reduceat(shares, starts) / counts, counts


@dataclass(frozen=True, slots=True)
class Hits:
    """Of all calls, what each tier answers."""

    process: float
    shared: float

    @property
    def missed(self) -> float:
        """What backends are asked."""
        return 1.0 - self.process - self.shared


def predicted(
    log: Log, *, rps: float, processes: int, queries_held: int, ttl_s: float
) -> Hits:
    """Tell what each tier answers.

    Args:
        log: What is asked.
        rps: Calls per second, of all processes together.
        processes: Among which they are spread evenly.
        queries_held: How many queries with their documents one process remembers.
        ttl_s: Of both tiers.

    """
    shares, counts = log.groups()
    rates = shares * rps
    own = rates / processes
    unused_s = min(_characteristic_s(own, counts, queries_held, ttl_s), ttl_s)
    soon = 1 - np.exp(-own * unused_s)
    # From one call of a backend to the next: for the TTL everything is known somewhere. In
    # the process that asked it is known at once, in the others from their first call on,
    # and in each of them as long as it is used often enough.
    often = own * (ttl_s - unused_s) * soon
    first = own * unused_s + often
    others = own * unused_s - soon + often
    calls = 1 + rates * ttl_s
    in_process = (first + (processes - 1) * others) / calls
    known = rates * ttl_s / calls
    return Hits(
        process=float((shares * counts * in_process).sum()),
        shared=float((shares * counts * (known - in_process)).sum()),
    )


def _characteristic_s(rates: Rates, counts: Rates, held: int, ttl_s: float) -> float:
    """Find after how long without use an entry is displaced; infinite if none ever is."""
    least, most = 0.0, ttl_s
    if _occupied(rates, counts, most) <= held:
        return math.inf
    for _ in range(_STEPS):
        middle = (least + most) / 2
        if _occupied(rates, counts, middle) < held:
            least = middle
        else:
            most = middle
    return most


def _occupied(rates: Rates, counts: Rates, unused_s: float) -> float:
    return float((counts * (1 - np.exp(-rates * unused_s))).sum())
