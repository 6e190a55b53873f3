"""Servers in turn, so that a machine that gets slower gets slower for all of them."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.cost.load import Loaded, Target, closed
from benchmarks.cost.names import ECHO
from benchmarks.cost.processes import Running

FLOOR = ECHO

_TRIED = 8
_MOST_CALLS = 20_000
_SAME = 0.8


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure."""

    rounds: int
    round_s: float


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server, and how it is asked."""

    server: Running
    target: Target
    in_flight: int = 8
    connections: int = 8
    alike: bool = True
    """Whether all answers have much the same length."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a call cost in all rounds together."""

    cpu_us: float
    """Median, as all of these."""
    lowest_us: float
    highest_us: float
    ratio: float
    """To the floor, of each round by itself."""
    rps: float
    p50_ms: float
    p99_ms: float
    memory_mib: float
    balance: float
    """What the busiest process used, of what all but idle ones did."""
    loader_us: float
    """CPU time of the client per call."""

    @property
    def rps_of_cpu(self) -> float:
        """Calls per second if each of its processes had a CPU to itself."""
        return 1e6 / (self.cpu_us * self.balance)


@dataclass(slots=True)
class _Seen:
    calls: int
    rounds: list[Loaded] = field(default_factory=list)


def contest(contestants: Mapping[str, Contestant], effort: Effort) -> dict[str, Cost]:
    """Let each have its rounds, and compare with the floor, if that is among them."""
    seen = {name: _warmed_up(each, effort) for name, each in contestants.items()}
    for _ in range(effort.rounds):
        for name, each in contestants.items():
            seen[name].rounds.append(_round(each, seen[name].calls))
    floor = [each.cpu_us for each in seen[FLOOR].rounds] if FLOOR in seen else None
    return {
        name: _cost(seen[name].rounds, floor, each.server)
        for name, each in contestants.items()
    }


def _round(each: Contestant, calls: int) -> Loaded:
    loaded = closed(
        each.target,
        of=each.server,
        calls=calls,
        in_flight=each.in_flight,
        connections=each.connections,
    )
    if each.alike and loaded.shortest_answer < _SAME * loaded.longest_answer:
        message = "some answers are much shorter than others: were they reranked?"
        raise RuntimeError(message)
    return loaded


def _warmed_up(each: Contestant, effort: Effort) -> _Seen:
    """Call some times, and find out how many calls a round has."""
    took = _round(each, max(_TRIED, each.in_flight)).seconds
    took = _round(each, max(_TRIED, each.in_flight)).seconds
    rate = max(_TRIED, each.in_flight) / took
    calls = min(max(int(rate * effort.round_s), _TRIED), _MOST_CALLS)
    # Once more, and as long as a round: what compiles and grows on the way has done so.
    warm = _round(each, calls)
    calls = min(max(int(warm.rps * effort.round_s), _TRIED), _MOST_CALLS)
    return _Seen(calls)


def _cost(rounds: list[Loaded], floor: list[float] | None, server: Running) -> Cost:
    cpu = [each.cpu_us for each in rounds]
    ratios = [us / beside for us, beside in zip(cpu, floor or cpu, strict=True)]
    return Cost(
        cpu_us=statistics.median(cpu),
        lowest_us=min(cpu),
        highest_us=max(cpu),
        ratio=statistics.median(ratios),
        rps=statistics.median(each.rps for each in rounds),
        p50_ms=statistics.median(each.p50_ms for each in rounds),
        p99_ms=statistics.median(each.p99_ms for each in rounds),
        memory_mib=server.memory_mib(),
        balance=statistics.median(
            max(each.used_s.values()) / sum(each.used_s.values()) for each in rounds
        ),
        loader_us=statistics.median(1e6 * each.cpu_s / each.calls for each in rounds),
    )
