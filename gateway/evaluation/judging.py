"""Judge a difference by chance: a paired bootstrap over the queries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.evaluation.measuring import Values, measured

_RESAMPLES = 10_000
_SEED = 20_260_101

# Of chosen queries held at once: 32 MiB, however many queries there are.
_MOST_AT_ONCE = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Comparison:
    """One measure before and after, as means over the queries."""

    measure: str
    before: float
    after: float
    low: float
    """Lower end of the 95 % interval of the difference."""
    high: float
    """Its upper end."""

    @property
    def difference(self) -> float:
        """Give what changed; above 0 is better."""
        return self.after - self.before

    @property
    def verdict(self) -> str:
        """Say what may be concluded."""
        if self.low > 0:
            return "significantly better"
        if self.high < 0:
            return "significantly worse"
        return "no significant difference"


def compare(
    measures: Sequence[str],
    judgements: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
) -> list[Comparison]:
    """Compare two orders for the same queries by every measure.

    The interval comes from a paired bootstrap over the queries: 10 000 resamples, a
    fixed seed, so that the same orders always give the same interval.
    """
    comparisons = []
    for measure in measures:
        one = measured(measure, judgements, before)
        other = measured(measure, judgements, after)
        low, high = interval(other - one)
        comparisons.append(
            Comparison(
                measure=measure,
                before=float(one.mean()),
                after=float(other.mean()),
                low=low,
                high=high,
            )
        )
    return comparisons


def interval(differences: Values) -> tuple[float, float]:
    """Give the 95 % interval of the mean of differences, one per query."""
    count = len(differences)
    chance = np.random.default_rng(_SEED)
    means: list[float] = []
    while len(means) < _RESAMPLES:
        rows = min(_RESAMPLES - len(means), max(1, _MOST_AT_ONCE // count))
        chosen = chance.integers(count, size=(rows, count))
        means.extend(differences[chosen].mean(axis=1).tolist())
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
