"""The report: Markdown, a plot, and what of them belongs into docs/costs.md."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.cost import names
from benchmarks.cost.contest import Cost
from benchmarks.cost.figures import Figures
from benchmarks.cost.goals import goals
from benchmarks.cost.growth import Grown
from benchmarks.cost.latency import Latency
from benchmarks.cost.markdown import table
from benchmarks.cost.native import BUILT, NOTE
from benchmarks.cost.payloads import Payload
from benchmarks.cost.plot import draw
from benchmarks.cost.processes import ROOT
from benchmarks.cost.sizing import section as sizing

REPORT = ROOT / "benchmarks" / "report.md"
PLOT = ROOT / "docs" / "images" / "cost.png"
COSTS = BUILT / "costs.md"
PROFILE = ROOT / "benchmarks" / "profile.md"
"""Written by people: where the time goes that is left, and why."""

_HEAD = """\
# What it costs

Written by `make bench`{full}; how: [`benchmarks/README.md`](README.md).

- {date}, {processor}, {cores} cores, {memory:.0f} GiB, {system}
- {versions}
- {load:.1f} processes wanted to run before any of these did{busy}
"""
_CALLS = """\
## A call

{payload} per call, 8 calls at once on 8 connections, metrics exported, no trace sampled.
CPU is the time of the server's processes as the operating system counts it, medians of
all rounds; a ratio is the median of those of each round, in which every server had its
turn. `echo` is a `grpc.aio` server that parses the same request and answers with as many
results. A miss asks a query that nobody has asked before, and remembers the answer. The
client shares the machine.

"""
_LATENCY = """\
## Latency

Open loop: each call begins when the schedule says, however the server fares, and its
latency counts from that moment, so nothing is lost to coordinated omission. Each server
has half of the calls per second that it answers at most; `{direct}` has the rate
of `{miss}`. The last column is how late the loader itself once was: it counts as latency.

"""
_GROWTH = """\
## As work grows

CPU µs per call. `power` is what the cost grows with between the two largest sizes: 1 is
linear, less is better than linear. The line is fitted to all sizes.

"""
_PAYLOADS = """\
## Payloads

CPU µs per call, and the ratio to the echo.

"""
_WORKERS = """\
## Workers

A miss over HTTP, 64 calls at once on 128 connections. On two cores the client and the
backend take part of what two workers could have: the last column leaves that out.

"""
_SEARCH = """\
## Search

On the embedded engine, over gRPC; queries bring vectors.

"""
_STARTS = """\
## Start and memory

"""
_BUSY = 0.5


def write_report(figures: Figures) -> None:
    """Write everything, and say where."""
    REPORT.write_text("\n".join(_sections(figures)))
    PLOT.parent.mkdir(parents=True, exist_ok=True)
    draw(figures, PLOT)
    COSTS.parent.mkdir(parents=True, exist_ok=True)
    COSTS.write_text(costs(figures))
    for each in goals(figures):
        print(" | ".join(each.cells))
    for path in (REPORT, PLOT, COSTS):
        print(f"written: {_short(path)}")


def _short(path: Path) -> Path:
    return path.relative_to(ROOT)


def _sections(figures: Figures) -> Iterator[str]:
    machine = figures.machine
    yield _HEAD.format(
        full="-full" if figures.is_full else ", the short run",
        date=machine.date,
        processor=machine.processor,
        cores=machine.cores,
        memory=machine.memory_gib,
        system=machine.system,
        versions=", ".join(f"{name} {of}" for name, of in machine.versions.items()),
        load=machine.load,
        busy=": **others used the machine**" if machine.load > _BUSY else "",
    )
    if not figures.has_go:
        yield f"**{NOTE}**\n"
    yield "## Goals\n"
    yield table(
        ["", "goal", "measured", "met"], (each.cells for each in goals(figures))
    )
    if missing := [each for several in figures.missing.values() for each in several]:
        yield f"Not measured: {'; '.join(missing)}.\n"
    for measured, written in _SECTIONS:
        if measured(figures):
            yield written(figures)
    yield PROFILE.read_text()


def _costs(calls: Mapping[str, Cost]) -> str:
    return table(
        [
            *("", "CPU µs", "lowest to highest", "of the echo", "calls per second"),
            *("p50 ms", "p99 ms", "resident MiB", "client's CPU µs"),
        ],
        (
            [
                name,
                f"{each.cpu_us:.0f}",
                f"{each.lowest_us:.0f} to {each.highest_us:.0f}",
                f"{each.ratio:.2f}",
                f"{each.rps:.0f}",
                f"{each.p50_ms:.1f}",
                f"{each.p99_ms:.1f}",
                f"{each.memory_mib:.0f}",
                f"{each.loader_us:.0f}",
            ]
            for name, each in calls.items()
        ),
    )


def _payloads(payloads: Mapping[str, Mapping[str, Cost]]) -> str:
    kinds = list(next(iter(payloads.values())))
    return table(
        ["documents", *kinds],
        (
            [
                payload,
                *(f"{each.cpu_us:.0f} ({each.ratio:.2f})" for each in of.values()),
            ]
            for payload, of in payloads.items()
        ),
    )


def _workers(workers: Mapping[int, Cost]) -> str:
    return table(
        [
            *("workers", "CPU µs", "calls per second here"),
            *("busiest worker's share", "calls per second with a core each"),
        ],
        (
            [
                str(count),
                f"{each.cpu_us:.0f}",
                f"{each.rps:.0f}",
                f"{each.balance:.0%}",
                f"{each.rps_of_cpu:.0f}",
            ]
            for count, each in workers.items()
        ),
    )


def _latencies(figures: Figures) -> str:
    def rows(how: str, found: Mapping[str, Latency]) -> Iterator[list[str]]:
        for name, each in found.items():
            yield [
                f"{name}, {how}",
                f"{figures.saturation.get(name, 0):.0f}"
                if name in figures.saturation
                else "",
                f"{each.rate:.0f}",
                f"{each.p50_ms:.2f}",
                f"{each.p99_ms:.2f}",
                f"{each.p999_ms:.2f}",
                f"{each.latest_send_ms:.2f}",
            ]

    return table(
        [
            *("", "calls per second at most", "at these", "p50 ms", "p99 ms"),
            *("p99.9 ms", "latest send ms"),
        ],
        [
            *rows("evenly", figures.even),
            *rows("by chance", figures.by_chance),
        ],
    )


def _search(figures: Figures) -> str:
    return table(
        ["documents", "CPU µs", "searches per second", "p50 ms", "p99 ms", "MiB"],
        (
            [
                f"{documents:,}, {name}",
                f"{each.cpu_us:.0f}",
                f"{each.rps:.0f}",
                f"{each.p50_ms:.1f}",
                f"{each.p99_ms:.1f}",
                f"{each.memory_mib:.0f}",
            ]
            for documents, costs in figures.search.items()
            for name, each in costs.items()
        ),
    )


def _starts(figures: Figures) -> str:
    return table(
        ["", "s to the first answer", "idle MiB", "MiB after it"],
        (
            [
                name,
                f"{each.first_answer_s:.2f}",
                f"{each.idle_mib:.0f}",
                f"{each.after_mib:.0f}",
            ]
            for name, each in figures.starts.items()
        ),
    )


def _growth(grown: Grown) -> str:
    def row(name: str, costs: list[float]) -> list[str]:
        constant, each = grown.line(name)
        return [
            name,
            *(f"{us:.0f}" for us in costs),
            f"{grown.exponent(name):.2f}",
            f"{constant:.0f} + {each:.3g} each",
            "yes" if grown.is_linear(name) else "**no**",
        ]

    return table(
        [
            grown.what,
            *(f"{size:,g}" for size in grown.sizes),
            *("power", "line, µs", "linear or better"),
        ],
        (row(name, costs) for name, costs in grown.cpu_us.items()),
    )


_SECTIONS: tuple[tuple[Callable[[Figures], object], Callable[[Figures], str]], ...] = (
    (
        lambda found: found.calls,
        lambda found: (
            _CALLS.format(payload=Payload())
            + _costs(found.calls)
            + f"\n![what a call costs](../{_short(PLOT)})\n"
        ),
    ),
    (
        lambda found: found.payloads,
        lambda found: _PAYLOADS + _payloads(found.payloads),
    ),
    (lambda found: found.workers, lambda found: _WORKERS + _workers(found.workers)),
    (
        lambda found: found.even,
        lambda found: (
            _LATENCY.format(direct=names.DIRECT, miss=names.MISS) + _latencies(found)
        ),
    ),
    (lambda found: found.search, lambda found: _SEARCH + _search(found)),
    (lambda found: found.starts, lambda found: _STARTS + _starts(found)),
    (
        lambda found: found.growth,
        lambda found: _GROWTH + "\n".join(_growth(each) for each in found.growth),
    ),
    (lambda found: found.calls, lambda found: "## Sizing\n\n" + "".join(sizing(found))),
)


def costs(figures: Figures) -> str:
    """Write what belongs into docs/costs.md."""
    machine, calls = figures.machine, figures.calls
    shown = [name for name in _SHOWN if name in calls]
    latency = figures.even.get(names.MISS)
    lines = [
        (
            "`make bench` compares calls with a gRPC echo of the same payload, "
            f"{Payload()}, in one run ({machine.processor}, {machine.cores} cores, "
            f"{machine.date}; CPU time of the server from the operating system, metrics "
            "on, no trace sampled):\n"
        ),
        table(
            ["", "CPU µs per call", "of the echo", "calls per second and core"],
            (
                [
                    name,
                    f"{calls[name].cpu_us:.0f}",
                    f"{calls[name].ratio:.2f}",
                    f"{calls[name].rps_of_cpu:.0f}",
                ]
                for name in shown
            ),
        ),
        "![what a call costs, and how that grows](images/cost.png)\n",
    ]
    directly = figures.even.get(names.DIRECT)
    if latency and directly:
        lines.append(
            f"At half of what one process can do ({latency.rate:.0f} calls per second) the "
            f"gateway adds {latency.p50_ms - directly.p50_ms:.1f} ms to the median and "
            f"{latency.p99_ms - directly.p99_ms:.1f} ms to the 99th percentile of a miss."
        )
    lean, whole = figures.starts.get(names.LEAN), figures.starts.get(names.WHOLE)
    if lean and whole:
        lines.append(
            f"It answers {lean.first_answer_s:.1f} s after its start, "
            f"{whole.first_answer_s:.1f} s with the embedded engine and the model, and "
            f"holds {lean.idle_mib:.0f} MiB per worker, {whole.idle_mib:.0f} with them."
        )
    lines.append("[All figures, growth and sizing](../benchmarks/report.md).\n")
    return "\n".join(lines)


_SHOWN = (
    names.ECHO,
    names.FULL,
    names.PAIRS,
    names.SHARED,
    names.GRPC,
    names.MISS,
    names.INFINITY,
    names.LITELLM,
    names.LITELLM_TEI,
)
