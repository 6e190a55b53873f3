"""The series of one metric, found by what tells them apart, and never too many.

`prometheus_client` counts. Finding a series by its labels costs it more than counting, so
each one is kept at hand here.
"""

import math
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gateway.telemetry import semconv
from gateway.telemetry.catalogue import MOST_SERIES, OPEN, Metric

SeriesT = TypeVar("SeriesT", Counter, Gauge, Histogram)


class Series(Generic[SeriesT]):
    """Gives the series for the values of a metric's attributes.

    Only the event loop's thread may ask; others may read meanwhile.

    Args:
        metric: Which one.
        family: What counts it.

    """

    def __init__(self, metric: Metric, family: SeriesT) -> None:
        self._family: SeriesT = family
        self._open = tuple(each in OPEN for each in metric.attributes)
        self._known: dict[tuple[str, ...], SeriesT] = {}
        if not metric.attributes:
            self._known[()] = family

    def __call__(self, *values: str) -> SeriesT:
        """Give one; values are in the order of the attributes, empty where missing."""
        series = self._known.get(values)
        return self._other(values) if series is None else series

    def forget(self, *values: str) -> None:
        """Show one no more; one that is not known was not shown."""
        if self._known.pop(values, None) is not None:
            self._family.remove(*values)

    def _other(self, values: tuple[str, ...]) -> SeriesT:
        if len(self._known) >= MOST_SERIES:
            # The values that are ours are few, so that these are few too.
            values = tuple(
                semconv.OTHER if is_open else value
                for value, is_open in zip(values, self._open, strict=True)
            )
        series = self._known.get(values)
        if series is None:
            series = self._known[values] = self._family.labels(*values)
        return series


def _series(
    kind: type[SeriesT],
    metric: Metric,
    registry: CollectorRegistry,
    **more: Any,  # noqa: ANN401 - as its kind has it
) -> Series[SeriesT]:
    family = kind(
        metric.family,
        metric.description,
        metric.labels,
        unit=metric.suffix,
        registry=registry,
        **more,
    )
    return Series(metric, family)


class Counting:
    """Adds up.

    Args:
        metric: Which one.
        registry: Where it is shown.

    """

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._series = _series(Counter, metric, registry)

    def add(self, amount: float, *values: str) -> None:
        """Add an amount; 0 makes a series known before anything happens."""
        # A negative or infinite one, or none at all, would spoil the sum for ever.
        if 0 <= amount < math.inf:
            self._series(*values).inc(amount)


class Measuring:
    """Has a value now.

    Args:
        metric: Which one.
        registry: Where it is shown.

    """

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._series = _series(Gauge, metric, registry)

    def set(self, value: float, *values: str) -> None:
        """Set it."""
        self._series(*values).set(value)

    def add(self, amount: float, *values: str) -> None:
        """Let it go up, or down."""
        self._series(*values).inc(amount)

    def forget(self, *values: str) -> None:
        """Have no value any more."""
        self._series.forget(*values)


class Sorting:
    """Sorts numbers into buckets.

    Args:
        metric: Which one.
        registry: Where it is shown.

    """

    def __init__(self, metric: Metric, registry: CollectorRegistry) -> None:
        self._series = _series(Histogram, metric, registry, buckets=metric.bounds)

    def record(self, value: float, *values: str, trace_id: str = "") -> None:
        """Record one number.

        Args:
            value: The number.
            values: Of the attributes.
            trace_id: Of the trace that shows an example; empty: it was not sampled.

        """
        # A negative or infinite one, or none at all, would spoil the sum for ever.
        if 0 <= value < math.inf:
            exemplar = {"trace_id": trace_id} if trace_id else None
            self._series(*values).observe(value, exemplar)
