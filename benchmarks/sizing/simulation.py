"""The same tiers, played: every call of a while, one by one."""

from collections import OrderedDict

import numpy as np

from benchmarks.sizing.tiers import Hits, Log

_SEED = 11


def simulated(
    log: Log,
    *,
    rps: float,
    processes: int,
    queries_held: int,
    ttl_s: float,
    seconds: float,
) -> Hits:
    """Play it, and count in the second half of the time."""
    chance = np.random.default_rng(_SEED)
    calls = int(rps * seconds)
    cumulated = np.cumsum(log.shares())
    asked = np.searchsorted(cumulated, chance.random(calls) * cumulated[-1]).tolist()
    where = chance.integers(processes, size=calls).tolist()
    own: list[OrderedDict[int, float]] = [OrderedDict() for _ in range(processes)]
    shared: dict[int, float] = {}
    found = {"process": 0, "shared": 0}
    counted = 0
    for number in range(calls):
        now, query, memory = number / rps, asked[number], own[where[number]]
        tier = ""
        if memory.get(query, -ttl_s) > now - ttl_s:
            memory.move_to_end(query)
            tier = "process"
        else:
            stored = shared.get(query, -ttl_s)
            tier = "shared" if stored > now - ttl_s else ""
            if not tier:
                stored = shared[query] = now
            # What a process learns from the shared tier is as old as it is there.
            memory[query] = stored
            memory.move_to_end(query)
            if len(memory) > queries_held:
                memory.popitem(last=False)
        if number >= calls // 2:
            counted += 1
            if tier:
                found[tier] += 1
    return Hits(found["process"] / counted, found["shared"] / counted)
