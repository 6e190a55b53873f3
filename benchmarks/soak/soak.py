"""One soak: warm up until everything is full, then watch that nothing grows."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.soak.callers import Seen, calling
from benchmarks.soak.process import ROUTES, Sample, serving
from benchmarks.soak.vendors import playing

_EVERY_S = 1.0
_PARTS = 5
_GROWTH = 0.05
# Callers and vendors come and go: a few connections more or less are no leak.
_SPARE = 16
_IN_TIME = 0.999
_SHOWN = 5

Watch = Callable[[Sample, Seen], None]


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was seen, after the warm-up."""

    samples: list[Sample]
    seen: Seen
    """Of the warm-up, too: an answer must be true from the first one on."""

    def medians(self, of: Callable[[Sample], int]) -> tuple[float, float]:
        """Compare the first part of the time with the last."""
        count = max(len(self.samples) // _PARTS, 1)
        values = [of(sample) for sample in self.samples]
        return median(values[:count]), median(values[-count:])

    @property
    def complaints(self) -> list[str]:
        """Name what is not as it must be."""
        found = []
        first, last = self.medians(lambda each: each.memory_kib)
        if last > first * (1 + _GROWTH):
            found.append(f"memory grew from {first} to {last} KiB")
        for what, of in _COUNTED.items():
            first, last = self.medians(of)
            if last > first + _SPARE:
                found.append(f"{what} grew from {first} to {last}")
        seen = self.seen
        calls = seen.answers + seen.late + seen.stalled
        if not seen.answers or seen.late > (1 - _IN_TIME) * calls:
            found.append(f"{seen.late} of {calls} answers came late")
        if seen.wrong:
            found.append(f"{len(seen.wrong)} faults: {seen.wrong[:_SHOWN]}")
        return found


_COUNTED: dict[str, Callable[[Sample], int]] = {
    "sockets": lambda each: each.sockets,
    "files": lambda each: each.files,
    "threads": lambda each: each.threads,
}


async def soak(*, warm_up_s: float, for_s: float, watch: Watch) -> Soaked:
    """Run all of it.

    Args:
        warm_up_s: How long nothing is measured.
        for_s: How long it is measured after that.
        watch: Told every sample.

    """
    samples = []
    loop = asyncio.get_running_loop()
    async with (
        playing() as environ,
        serving({**ROUTES, **environ}) as gateway,
        calling(gateway.address) as seen,
    ):
        await asyncio.sleep(warm_up_s)
        until = loop.time() + for_s
        while loop.time() < until:
            samples.append(gateway.sample())
            watch(samples[-1], seen)
            await asyncio.sleep(_EVERY_S)
    return Soaked(samples, seen)
