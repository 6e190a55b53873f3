"""How long calls take while the server is half busy."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.cost.contest import Contestant, Effort
from benchmarks.cost.load import Loaded, closed, opened

_SATURATING = 32
_LEAST_CALLS = 200
_TRIED = 300


@dataclass(frozen=True, slots=True)
class Latency:
    """Of calls that began on time, whatever became of those before."""

    rate: float
    """Calls per second."""
    p50_ms: float
    p99_ms: float
    p999_ms: float
    latest_send_ms: float
    """How late the loader itself was at worst; it counts as latency."""
    calls: int


def saturation(each: Contestant, effort: Effort) -> float:
    """Find how many calls per second a server answers at most."""
    tried = closed(each.target, of=each.server, calls=_TRIED, in_flight=_SATURATING)
    calls = max(int(tried.rps * effort.round_s), _TRIED)
    found = [
        closed(each.target, of=each.server, calls=calls, in_flight=_SATURATING).rps
        for _ in range(2)
    ]
    return max(found)


def latencies(
    contestants: Mapping[str, tuple[Contestant, float]],
    effort: Effort,
    *,
    poisson: bool,
) -> dict[str, Latency]:
    """Call each at its rate, in turn.

    Args:
        contestants: By name, each with its calls per second.
        effort: Rounds, and how long one is.
        poisson: Calls come by chance and not evenly.

    """
    seen: dict[str, list[Loaded]] = {name: [] for name in contestants}
    for _ in range(effort.rounds):
        for name, (each, rate) in contestants.items():
            calls = max(int(rate * effort.round_s), _LEAST_CALLS)
            seen[name].append(
                opened(
                    each.target, of=each.server, calls=calls, rate=rate, poisson=poisson
                )
            )
    return {
        name: Latency(
            rate=contestants[name][1],
            p50_ms=statistics.median(each.p50_ms for each in rounds),
            p99_ms=statistics.median(each.p99_ms for each in rounds),
            p999_ms=statistics.median(each.p999_ms for each in rounds),
            latest_send_ms=max(each.latest_send_ms for each in rounds),
            calls=sum(each.calls for each in rounds),
        )
        for name, rounds in seen.items()
    }
