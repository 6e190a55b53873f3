"""Everything that one run found; kept as JSON, so that the report can be written anew."""

from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from benchmarks.cost.contest import Cost
from benchmarks.cost.growth import Grown
from benchmarks.cost.latency import Latency
from benchmarks.cost.machine import Machine
from benchmarks.cost.native import BUILT
from benchmarks.cost.starting import Start

KEPT = BUILT / "figures.json"


@dataclass(slots=True)
class Figures:
    """By section of the report; what could not be measured is empty."""

    machine: Machine
    is_full: bool
    has_go: bool
    missing: dict[str, list[str]] = field(default_factory=dict)
    """By what would have been measured."""
    calls: dict[str, Cost] = field(default_factory=dict)
    """Of the payload that all goals are about."""
    payloads: dict[str, dict[str, Cost]] = field(default_factory=dict)
    workers: dict[int, Cost] = field(default_factory=dict)
    saturation: dict[str, float] = field(default_factory=dict)
    even: dict[str, Latency] = field(default_factory=dict)
    by_chance: dict[str, Latency] = field(default_factory=dict)
    search: dict[int, dict[str, Cost]] = field(default_factory=dict)
    starts: dict[str, Start] = field(default_factory=dict)
    growth: list[Grown] = field(default_factory=list)
    bytes_per_pair: float = 0.0


_ADAPTER = TypeAdapter(Figures)


def keep(figures: Figures, path: Path = KEPT) -> None:
    """Write them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_ADAPTER.dump_json(figures, indent=1))


def kept(path: Path = KEPT) -> Figures:
    """Read them."""
    return _ADAPTER.validate_json(path.read_bytes())
