"""What was promised, and what it is."""

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.cost import names
from benchmarks.cost.figures import Figures


@dataclass(frozen=True, slots=True)
class Goal:
    """A promise in one number."""

    what: str
    bound: float
    unit: str
    is_least: bool = False
    found: float | None = None
    """None: not measured."""

    @property
    def is_met(self) -> bool | None:
        """None where nothing is known."""
        if self.found is None:
            return None
        if self.is_least:
            return self.found >= self.bound
        return self.found <= self.bound

    @property
    def cells(self) -> list[str]:
        """Write it as a row."""
        sign = "≥" if self.is_least else "≤"
        found = (
            "not measured" if self.found is None else f"{self.found:.2f} {self.unit}"
        )
        met = {True: "yes", False: "**no**", None: "?"}[self.is_met]
        return [self.what, f"{sign} {self.bound:g} {self.unit}", found, met]


def goals(figures: Figures) -> Iterator[Goal]:
    """Give all of them."""
    for name, bound in (
        (names.FULL, 1.35),
        (names.PAIRS, 1.8),
        (names.MISS, 2.8),
        (names.GRPC, 2.1),
    ):
        cost = figures.calls.get(name)
        yield Goal(
            f"CPU per call, {name}", bound, "x echo", found=cost.ratio if cost else None
        )
    yield from _beside_litellm(figures)
    yield from _of_two_workers(figures)
    yield from _added(figures)
    lean, whole = figures.starts.get(names.LEAN), figures.starts.get(names.WHOLE)
    start = "start to first answer, "
    yield Goal(
        start + names.LEAN, 1.5, "s", found=lean.first_answer_s if lean else None
    )
    yield Goal(
        start + names.WHOLE, 4.0, "s", found=whole.first_answer_s if whole else None
    )
    yield Goal(
        f"idle memory per worker, {names.LEAN}",
        150,
        "MiB",
        found=lean.idle_mib if lean else None,
    )


def _beside_litellm(figures: Figures) -> Iterator[Goal]:
    for ours, theirs, backend in (
        (names.MISS, names.LITELLM_TEI, "TEI"),
        (names.INFINITY, names.LITELLM, "Infinity"),
    ):
        our, their = figures.calls.get(ours), figures.calls.get(theirs)
        less = their.cpu_us / our.cpu_us if our and their else None
        more = our.rps / their.rps if our and their else None
        yield Goal(
            f"CPU of LiteLLM for the same miss, {backend}",
            12,
            "x ours",
            is_least=True,
            found=less,
        )
        yield Goal(
            f"throughput, of LiteLLM's, {backend}", 15, "x", is_least=True, found=more
        )


def _of_two_workers(figures: Figures) -> Iterator[Goal]:
    one, two = figures.workers.get(1), figures.workers.get(2)
    cpu = two.cpu_us / one.cpu_us if one and two else None
    rps = two.rps_of_cpu / one.rps_of_cpu if one and two else None
    yield Goal("two workers, CPU per call", 1.1, "x one", found=cpu)
    yield Goal(
        "two workers, throughput by CPU time", 1.8, "x one", is_least=True, found=rps
    )


def _added(figures: Figures) -> Iterator[Goal]:
    through = figures.even.get(names.MISS)
    directly = figures.even.get(names.DIRECT)
    p99 = through.p99_ms - directly.p99_ms if through and directly else None
    p50 = through.p50_ms - directly.p50_ms if through and directly else None
    what = "added at half of saturation, "
    yield Goal(what + "p99", 5, "ms", found=p99)
    yield Goal(what + "p50", 1.2, "ms", found=p50)
