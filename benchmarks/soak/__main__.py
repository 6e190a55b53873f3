"""Let a gateway work among failing vendors: `python -m benchmarks.soak` (Linux only)."""

import asyncio
from typing import Annotated

import typer

from benchmarks.soak.callers import Seen
from benchmarks.soak.process import Sample
from benchmarks.soak.soak import soak

_WARM_UP = 0.1
_WARM_UP_LEAST_S = 60.0
_SHOWN_EVERY = 30


def main(
    *, minutes: Annotated[float, typer.Option(help="After the warm-up.")] = 20.0
) -> None:
    """See whether it stays as it is: memory, files, sockets, and true answers in time."""
    taken = 0

    def watch(sample: Sample, seen: Seen) -> None:
        nonlocal taken
        if taken % _SHOWN_EVERY == 0:
            late = f"{seen.late} late ({seen.stalled} more while everything waited)"
            told = f"{late}, {len(seen.wrong)} wrong, {dict(seen.outcomes)}"
            print(f"{taken:5} {sample} {seen.answers} answers, {told}", flush=True)
        taken += 1

    warm_up_s = max(minutes * 60 * _WARM_UP, _WARM_UP_LEAST_S)
    soaked = asyncio.run(soak(warm_up_s=warm_up_s, for_s=minutes * 60, watch=watch))
    first, last = soaked.medians(lambda each: each.memory_kib)
    print(f"memory: {first / 1024:.1f} MiB, at the end {last / 1024:.1f} MiB")
    for complaint in soaked.complaints:
        print(f"NOT WELL: {complaint}")
    if soaked.complaints:
        raise typer.Exit(1)
    print(f"well: {soaked.seen.answers} answers, {dict(soaked.seen.outcomes)}")


if __name__ == "__main__":
    typer.run(main)
