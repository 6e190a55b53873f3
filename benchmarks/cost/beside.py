"""Two working trees side by side: `python -m benchmarks.cost.beside OTHER_TREE`.

Whether a change makes calls cheaper shows in one run only if both states take turns in it:
between two runs a machine changes more than most changes do.
"""

from pathlib import Path
from typing import Annotated

import typer

from benchmarks.cost import asking, names
from benchmarks.cost.contest import Contestant, Effort, contest
from benchmarks.cost.payloads import Payload
from benchmarks.cost.processes import ROOT
from benchmarks.cost.servers import Servers


def main(
    other: Annotated[Path, typer.Argument(help="The tree before the change.")],
    *,
    kinds: Annotated[
        list[str] | None, typer.Option("--kind", help="Which calls; all by default.")
    ] = None,
    rounds: int = 15,
    round_s: float = 0.6,
    documents: int = 100,
) -> None:
    """Measure the same calls of both trees in turns."""
    payload = Payload(documents=documents)
    wanted = kinds or [names.FULL, names.PAIRS, names.MISS, names.PAST, names.GRPC]
    with Servers() as servers:
        echo = servers.echo()
        found = {names.ECHO: Contestant(echo, asking.same(echo, payload))}
        trees = {"before": other.resolve(), "now": ROOT}
        for kind in wanted:
            for name, root in trees.items():
                found[f"{kind}, {name}"] = _asked(servers, kind, payload, root)
        costs = contest(found, Effort(rounds, round_s))
    print(f"{names.ECHO}: {costs[names.ECHO].cpu_us:.0f} µs")
    for kind in wanted:
        before, now = (costs[f"{kind}, {name}"] for name in trees)
        print(
            f"{kind}: {before.cpu_us:.0f} -> {now.cpu_us:.0f} µs "
            f"(least {before.lowest_us:.0f} -> {now.lowest_us:.0f}), "
            f"{before.ratio:.2f} -> {now.ratio:.2f} x echo, "
            f"{now.cpu_us / before.cpu_us - 1:+.1%}",
            flush=True,
        )


def _asked(servers: Servers, kind: str, payload: Payload, root: Path) -> Contestant:
    url = servers.backend.tei
    if kind == names.GRPC:
        url = f"tei-grpc+grpc://{servers.backend.grpc}"
    started = servers.gateway(url, root=root)
    asking.check(started, payload)
    ask = {
        names.FULL: asking.same,
        names.PAIRS: asking.other_options,
        names.PAST: asking.past_memory,
    }.get(kind, asking.other_query)
    return Contestant(started, ask(started, payload))


if __name__ == "__main__":
    typer.run(main)
