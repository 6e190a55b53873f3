"""Kill one of two gateways every ten seconds: `python -m benchmarks.soak.kills`."""

import asyncio
from typing import Annotated

import typer

from tests.e2e.killing import kill_in_turns


def main(
    *,
    minutes: Annotated[float, typer.Option(help="How long.")] = 2.0,
    every_s: Annotated[float, typer.Option(help="Between two kills.")] = 10.0,
) -> None:
    """Kill gateways under load, and see that no call fails."""
    kills = max(int(minutes * 60 / every_s), 1)
    seen = asyncio.run(kill_in_turns(kills=kills, every_s=every_s))
    answers = sum(seen.answers.values())
    print(
        f"{seen.kills} kills, {answers} answers, {len(seen.failed)} failed, "
        f"{len(seen.untrue)} not reranked, the slowest took {seen.slowest_s:.2f} s"
    )
    if seen.failed or seen.untrue:
        print(f"NOT WELL: {[*seen.failed, *seen.untrue][:5]}")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
