"""Measure everything and write the report: `python -m benchmarks.cost`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from benchmarks.cost import asking, growth, latency, names, peers, starting
from benchmarks.cost.contest import Contestant, Effort, contest
from benchmarks.cost.figures import Figures, keep, kept
from benchmarks.cost.load import Target
from benchmarks.cost.machine import Machine
from benchmarks.cost.native import BUILT, NOTE, is_built
from benchmarks.cost.payloads import Payload, tei_request, write
from benchmarks.cost.processes import Running
from benchmarks.cost.report import write_report
from benchmarks.cost.servers import (
    WORKERS,
    Servers,
    certificate,
    has_grpc_backends,
    has_workers,
)

_MAIN = Payload()
_WORKERS_IN_FLIGHT = 64
_WORKERS_CONNECTIONS = 128


class Part(StrEnum):
    """What can be measured alone."""

    CALLS = "calls"
    PAYLOADS = "payloads"
    WORKERS = "workers"
    LATENCY = "latency"
    SEARCH = "search"
    STARTS = "starts"
    GROWTH = "growth"


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured."""

    calls: Effort
    payloads: Effort
    latency: Effort
    growth: Effort
    starts: int
    search: Sequence[int]
    pairs: Sequence[int]
    backends: Sequence[int]
    with_peer: bool = True


SHORT = Extent(
    calls=Effort(5, 0.5),
    payloads=Effort(1, 0.4),
    latency=Effort(1, 4.0),
    growth=Effort(1, 0.4),
    starts=3,
    search=(10_000,),
    pairs=(10_000, 30_000, 100_000),
    backends=(1, 10, 100),
)
FULL = Extent(
    calls=Effort(15, 1.5),
    payloads=Effort(7, 1.0),
    latency=Effort(5, 10.0),
    growth=Effort(5, 1.0),
    starts=7,
    search=(10_000, 100_000),
    pairs=(10_000, 30_000, 100_000, 300_000, 1_000_000),
    backends=(1, 3, 10, 30, 100),
)


def main(
    *,
    full: Annotated[
        bool, typer.Option(help="Half an hour instead of minutes.")
    ] = False,
    only: Annotated[
        list[Part] | None, typer.Option(help="Measure this anew, and keep the rest.")
    ] = None,
    peer: Annotated[bool, typer.Option(help="Measure LiteLLM's proxy, too.")] = True,
    render: Annotated[
        bool, typer.Option(help="Measure nothing: write the report of the last run.")
    ] = False,
) -> None:
    """Measure what a call costs beside its floor and its peers, and how that grows."""
    if render:
        write_report(kept())
        return
    figures = kept() if only else Figures(Machine.this(), full, is_built())
    if not is_built():
        print(NOTE)
    extent = replace(FULL if full else SHORT, with_peer=peer)
    for part, measure in _MEASURED.items():
        if only and part not in only:
            continue
        began = perf_counter()
        print(f"measuring {part} …", flush=True)
        figures.missing.pop(part, None)
        measure(figures, extent)
        print(f"  {perf_counter() - began:.0f} s", flush=True)
        keep(figures)
    write_report(figures)


def _calls(figures: Figures, extent: Extent) -> None:
    """Measure all kinds of calls of one payload, side by side."""
    missing = figures.missing.setdefault(Part.CALLS, [])
    with Servers() as servers:
        backend = servers.backend
        echo = servers.echo()
        hit, miss = servers.gateway(backend.tei), servers.gateway(backend.tei)
        asking.check(hit, _MAIN)
        asking.check(miss, _MAIN)
        found = {
            names.ECHO: (echo, asking.same(echo, _MAIN)),
            names.FULL: (hit, asking.same(hit, _MAIN)),
            names.PAIRS: (hit, asking.other_options(hit, _MAIN)),
            names.MISS: (miss, asking.other_query(miss, _MAIN)),
            names.PAST: (miss, asking.past_memory(miss, _MAIN)),
        }
        if has_grpc_backends():
            found[names.GRPC] = _missing(servers, f"tei-grpc+grpc://{backend.grpc}")
        else:
            missing.append("this gateway speaks no gRPC to backends")
        if backend.https and (made := certificate()):
            url = f"tei+https://{backend.https}"
            trust = {"SSL_CERT_FILE": str(made[0])}
            found[names.SECURE] = _missing(servers, url, trust)
        else:
            missing.append("TLS to backends needs Go and openssl")
        if made := certificate():
            found[names.TLS] = _over_tls(servers, *made)
        else:
            missing.append("TLS of callers needs openssl")
        if shared := servers.shared_memory():
            asking.check(shared, _MAIN)
            found[names.SHARED] = (shared, asking.same(shared, _MAIN))
        else:
            missing.append("the shared memory needs redis-server")
        if is_built():
            found[names.INFINITY] = _missing(servers, backend.infinity)
        command = peers.install() if extent.with_peer and is_built() else None
        if command:
            proxy = servers.enter(peers.litellm(command, backend.http))
            for name, model in (
                (names.LITELLM, peers.INFINITY),
                (names.LITELLM_TEI, peers.TEI),
            ):
                found[name] = (proxy, peers.request(proxy, _MAIN, model=model))
            figures.machine.versions["LiteLLM"] = peers.VERSION
        else:
            missing.append("LiteLLM was not measured")
        figures.calls = contest(
            {name: Contestant(*each) for name, each in found.items()}, extent.calls
        )


def _over_tls(servers: Servers, made: Path, key: Path) -> tuple[Running, Target]:
    """Ask the same thing each time, of a gateway that proves who it is."""
    server = servers.gateway(
        servers.backend.tei,
        {
            "RERANK_GATEWAY__TLS__CERTIFICATE": str(made),
            "RERANK_GATEWAY__TLS__KEY": str(key),
        },
    )
    asking.check(server, _MAIN, ca=made)
    return server, replace(asking.same(server, _MAIN), ca=str(made))


def _missing(
    servers: Servers, url: str, environ: dict[str, str] | None = None
) -> tuple[Running, Target]:
    server = servers.gateway(url, environ)
    asking.check(server, _MAIN)
    return server, asking.other_query(server, _MAIN)


def _payloads(figures: Figures, extent: Extent) -> None:
    """Measure every payload."""
    with Servers() as servers:
        echo = servers.echo()
        hit = servers.gateway(servers.backend.tei)
        misses = {names.MISS: servers.gateway(servers.backend.tei)}
        if has_grpc_backends():
            url = f"tei-grpc+grpc://{servers.backend.grpc}"
            misses[names.GRPC] = servers.gateway(url)
        for documents in (10, 100, 1000):
            for characters in (400, 1000, 4000):
                payload = Payload(documents, characters)
                asking.check(hit, payload)
                found = {
                    names.ECHO: (echo, asking.same(echo, payload)),
                    names.FULL: (hit, asking.same(hit, payload)),
                    names.PAIRS: (hit, asking.other_options(hit, payload)),
                }
                for name, each in misses.items():
                    asking.check(each, payload)
                    found[name] = (each, asking.other_query(each, payload))
                figures.payloads[str(payload)] = contest(
                    {name: Contestant(*each) for name, each in found.items()},
                    extent.payloads,
                )


def _workers(figures: Figures, extent: Extent) -> None:
    """Compare one worker with two, and call by many connections, which they share."""
    if not has_workers():
        figures.missing[Part.WORKERS] = ["this gateway has one worker only"]
        return
    with Servers() as servers:
        found = {}
        for count in (1, 2):
            server = servers.gateway(servers.backend.tei, {WORKERS: str(count)})
            asking.check_reranks(server, _MAIN)
            found[str(count)] = Contestant(
                server,
                asking.other_query(server, _MAIN),
                _WORKERS_IN_FLIGHT,
                _WORKERS_CONNECTIONS,
            )
        costs = contest(found, extent.calls)
        figures.workers = {int(count): cost for count, cost in costs.items()}


def _latency(figures: Figures, extent: Extent) -> None:
    """Find out what each can do at most, and how long calls take at half of that."""
    with Servers() as servers:
        backend = servers.backend
        echo = servers.echo()
        hit, miss = servers.gateway(backend.tei), servers.gateway(backend.tei)
        asking.check(hit, _MAIN)
        asking.check(miss, _MAIN)
        asked = {
            names.ECHO: Contestant(echo, asking.same(echo, _MAIN)),
            names.FULL: Contestant(hit, asking.same(hit, _MAIN)),
            names.MISS: Contestant(miss, asking.other_query(miss, _MAIN)),
        }
        figures.saturation = {
            name: latency.saturation(each, extent.growth)
            for name, each in asked.items()
        }
        path = write(BUILT / "requests" / "tei", [tei_request(_MAIN)])
        directly = Target(backend.http, path, method="")
        asked[names.DIRECT] = Contestant(backend.running, directly)
        half = {name: rps / 2 for name, rps in figures.saturation.items()}
        half[names.DIRECT] = half[names.MISS]
        at_half = {name: (each, half[name]) for name, each in asked.items()}
        figures.even = latency.latencies(at_half, extent.latency, poisson=False)
        figures.by_chance = latency.latencies(at_half, extent.latency, poisson=True)


def _search(figures: Figures, extent: Extent) -> None:
    """Measure searches of the embedded engine."""
    from benchmarks.cost.searching import search

    figures.search = {
        documents: search(documents, extent.growth) for documents in extent.search
    }


def _starts(figures: Figures, extent: Extent) -> None:
    """Measure starts and idle memory."""
    with Servers() as servers:
        url = servers.backend.tei
        figures.starts[names.LEAN] = starting.start(url, times=extent.starts)
    figures.starts[names.WHOLE] = starting.start_with_everything(times=extent.starts)


def _growth(figures: Figures, extent: Extent) -> None:
    """Let one thing grow at a time."""
    with Servers() as servers:
        url = servers.backend.tei
        standing = growth.Standing(
            servers.echo(), servers.gateway(url), servers.gateway(url)
        )
        figures.growth = [
            growth.documents(standing, extent.growth),
            growth.characters(standing, extent.growth),
            growth.at_once(standing, extent.growth),
        ]
    with Servers() as servers:
        filled = growth.cache(servers, extent.growth, extent.pairs)
        figures.growth.append(filled.growth)
        figures.bytes_per_pair = filled.bytes_per_pair
    with Servers() as servers:
        longer = replace(extent.growth, rounds=2 * extent.growth.rounds)
        figures.growth.append(growth.backends(servers, longer, extent.backends))


_MEASURED: dict[Part, Callable[[Figures, Extent], None]] = {
    Part.CALLS: _calls,
    Part.PAYLOADS: _payloads,
    Part.WORKERS: _workers,
    Part.LATENCY: _latency,
    Part.SEARCH: _search,
    Part.STARTS: _starts,
    Part.GROWTH: _growth,
}


if __name__ == "__main__":
    typer.run(main)
