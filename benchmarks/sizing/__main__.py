"""Plan for a load of your own: `python -m benchmarks.sizing --help`."""

from typing import Annotated

import typer

from benchmarks.cost.figures import kept
from benchmarks.cost.sizing import call_cost, queries_held
from benchmarks.sizing.plan import CORES, planned
from benchmarks.sizing.tiers import Log


def main(
    *,
    rps: Annotated[float, typer.Option(help="Calls per second.")] = 1000.0,
    distinct: Annotated[int, typer.Option(help="Queries that differ.")] = 1_000_000,
    zipf: Annotated[float, typer.Option(help="Exponent: how unequal they are.")] = 1.0,
    ttl_s: Annotated[float, typer.Option(help="`cache.ttl_s`.")] = 300.0,
    mib: Annotated[int, typer.Option(help="`cache.max_bytes` of a worker.")] = 64,
) -> None:
    """Take the costs that `make bench` measured last."""
    figures = kept()
    plan = planned(
        Log(distinct, zipf),
        call_cost(figures),
        rps=rps,
        queries_held=queries_held(figures, mib),
        ttl_s=ttl_s,
    )
    print(
        f"{plan.replicas} replicas of {CORES} cores: {plan.cpu_us:.0f} µs per call; "
        f"{plan.hits.process:.0%} answered by the process, {plan.hits.shared:.0%} by the "
        f"shared memory, {plan.rps * plan.hits.missed:.0f} calls per second of backends"
    )


if __name__ == "__main__":
    typer.run(main)
