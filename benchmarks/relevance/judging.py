"""Judge an order by real judgements, and a difference by chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ir_measures
import numpy as np

MEASURES = (ir_measures.nDCG @ 10, ir_measures.RR @ 10)

_RESAMPLES = 10_000
_SEED = 20_260_101


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
    def verdict(self) -> str:
        """Say what may be concluded."""
        if self.low > 0:
            return "significantly better"
        if self.high < 0:
            return "significantly worse"
        return "no significant difference"


def compare(
    judgements: Mapping[str, Mapping[str, int]],
    before: Mapping[str, Sequence[str]],
    after: Mapping[str, Sequence[str]],
) -> list[Comparison]:
    """Compare two orders for the same queries by every measure.

    The interval comes from a paired bootstrap over the queries: 10 000 resamples, a
    fixed seed, so that the same orders always give the same interval.
    """
    comparisons = []
    for measure in MEASURES:
        one = _by_query(measure, judgements, before)
        other = _by_query(measure, judgements, after)
        low, high = _interval(other - one)
        comparisons.append(
            Comparison(
                measure=str(measure).replace("RR@", "MRR@"),
                before=float(one.mean()),
                after=float(other.mean()),
                low=low,
                high=high,
            )
        )
    return comparisons


def _by_query(
    measure: ir_measures.measures.Measure,
    judgements: Mapping[str, Mapping[str, int]],
    orders: Mapping[str, Sequence[str]],
) -> "np.typing.NDArray[np.float64]":
    # Numbers made from places, so that no tie is broken by anything but the order.
    run = {
        query: {document: -float(place) for place, document in enumerate(order)}
        for query, order in orders.items()
    }
    values = {
        each.query_id: each.value
        for each in ir_measures.iter_calc([measure], judgements, run)
    }
    return np.array([values[query] for query in judgements])


def _interval(differences: "np.typing.NDArray[np.float64]") -> tuple[float, float]:
    count = len(differences)
    chosen = np.random.default_rng(_SEED).integers(count, size=(_RESAMPLES, count))
    low, high = np.percentile(differences[chosen].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)
