"""How long answers took, in the three numbers that people ask for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that half, 95 % and 99 % of the answers did not exceed."""

    p50_s: float
    p95_s: float
    p99_s: float


def latency(durations_s: Sequence[float]) -> Latency:
    """Sum up durations, of which there is at least one."""
    p50, p95, p99 = np.percentile(durations_s, [50, 95, 99])
    return Latency(p50_s=float(p50), p95_s=float(p95), p99_s=float(p99))
