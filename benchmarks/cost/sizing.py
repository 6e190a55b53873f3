"""The section of the report on sizing."""

from collections.abc import Iterator

from benchmarks.cost import names
from benchmarks.cost.figures import Figures
from benchmarks.cost.markdown import table
from benchmarks.cost.payloads import Payload
from benchmarks.sizing.plan import BUSY, CORES, CallCost, planned, replicas
from benchmarks.sizing.simulation import simulated
from benchmarks.sizing.tiers import Hits, Log
from gateway.layers.process_memory import BYTES_PER_ENTRY

_LOADS = (1000, 10_000, 100_000)
_HITS = (0.0, 0.5, 0.8, 0.95)
_LOGS = (Log(1_000_000, 0.8), Log(1_000_000, 1.0), Log(100_000, 1.1))
_TTL_S = 300.0
_MIB = 64
_PLAYED_S = 600.0
_DOCUMENTS = Payload().documents


def call_cost(figures: Figures) -> CallCost:
    """Take the costs that were measured."""
    calls = figures.calls
    miss = calls[names.MISS].cpu_us
    shared = calls[names.SHARED].cpu_us if names.SHARED in calls else miss
    return CallCost(calls[names.FULL].cpu_us, shared, miss)


def queries_held(_: Figures, mib: int) -> int:
    """Tell how many queries with all their documents a worker remembers."""
    # What the memory counts, not what the process grows by.
    return int(mib * 2**20 / BYTES_PER_ENTRY / _DOCUMENTS)


def section(figures: Figures) -> Iterator[str]:
    """Write it."""
    cost = call_cost(figures)
    yield f"One core answers, {BUSY:.0%} busy, so many calls per second: "
    yield (
        f"{BUSY * 1e6 / cost.process:.0f} from its own memory, "
        f"{BUSY * 1e6 / cost.shared:.0f} from the shared memory, "
        f"{BUSY * 1e6 / cost.backend:.0f} that ask a backend. "
    )
    if figures.bytes_per_pair:
        yield (
            f"A million remembered pairs take {figures.bytes_per_pair:.0f} MB of a "
            f"worker's memory as measured, and count as {BYTES_PER_ENTRY} MB against "
            "`cache.max_bytes`."
        )
    yield "\n\n"
    yield f"Replicas of {CORES} cores, by the share of calls answered from memory:\n\n"
    yield table(
        ["calls per second", *(f"{share:.0%}" for share in _HITS)],
        (
            [
                f"{rps:,}",
                *(str(replicas(rps, cost.of(Hits(share, 0.0)))) for share in _HITS),
            ]
            for rps in _LOADS
        ),
    )
    yield (
        "\nWhat share that is depends on what is asked. Of Zipf's logs, with "
        f"{_TTL_S:.0f} s and {_MIB} MiB in each worker and a shared memory behind them:\n\n"
    )
    held = queries_held(figures, _MIB)
    rows, played = [], []
    for log in _LOGS:
        for rps in _LOADS:
            plan = planned(log, cost, rps=rps, queries_held=held, ttl_s=_TTL_S)
            rows.append(
                [
                    f"{log.distinct:,}, {log.exponent}",
                    f"{rps:,}",
                    f"{plan.hits.process:.0%}",
                    f"{plan.hits.shared:.0%}",
                    f"{rps * plan.hits.missed:,.0f}",
                    str(plan.replicas),
                ]
            )
        plan = planned(log, cost, rps=_LOADS[0], queries_held=held, ttl_s=_TTL_S)
        seen = simulated(
            log,
            rps=_LOADS[0],
            processes=plan.processes,
            queries_held=held,
            ttl_s=_TTL_S,
            seconds=_PLAYED_S,
        )
        played.append(
            f"{log.distinct:,}, {log.exponent}: {seen.process:.1%} and {seen.shared:.1%} "
            f"played, {plan.hits.process:.1%} and {plan.hits.shared:.1%} computed"
        )
    yield table(
        [
            *("distinct queries, exponent", "calls per second", "in the process"),
            *("in the shared memory", "calls to backends", "replicas"),
        ],
        rows,
    )
    yield (
        f"\nChecked by playing {_PLAYED_S:.0f} s of {_LOADS[0]:,} calls per second one by "
        f"one (`benchmarks/sizing`): {'; '.join(played)}. For a load of your own: "
        "`python -m benchmarks.sizing --help`.\n"
    )
