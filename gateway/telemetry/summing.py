"""The numbers of several processes become those of one gateway.

Counters and histograms add up, those of processes that are gone as well: a total that went
down would look to Prometheus like a new beginning. Of gauges, most add up too; those that
do not are named here.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.samples import Exemplar, Sample

from gateway.events import CircuitState
from gateway.telemetry.catalogue import (
    CIRCUIT_STATE,
    CONFIG_RELOADS,
    CONFIG_SUCCESS,
    CONFIG_TIME,
    LOOP_LAG,
    STATE,
)

_LARGEST: Final = frozenset({LOOP_LAG.family, CONFIG_RELOADS.family, "python_info"})
"""The busiest process; and what is the same in all of them: each counts every reload, and
one that was started later fewer of them."""
_SMALLEST: Final = frozenset(
    {"process_start_time_seconds", CONFIG_SUCCESS.family, CONFIG_TIME.family}
)
"""The oldest process: the one that started the others; and the oldest configuration."""
_LASTING: Final = frozenset({"counter", "histogram"})
_WORST: Final = tuple(
    each.lower()
    for each in (CircuitState.OPEN, CircuitState.HALF_OPEN, CircuitState.CLOSED)
)
"""What a circuit is said to be if it is so in any process: one state of them has 1."""

_Key = tuple[str, tuple[tuple[str, str], ...]]


def in_words(families: Iterable[Metric]) -> list[Any]:
    """Take numbers apart into what JSON knows."""
    return [
        [
            *(family.name, family.documentation, family.type, family.unit),
            [
                [each.name, each.labels, each.value, _example(each)]
                for each in family.samples
            ],
        ]
        for family in families
    ]


def _example(sample: Sample) -> list[Any] | None:
    example = sample.exemplar
    if example is None:
        return None
    return [example.labels, example.value, example.timestamp]


class Summed:
    """Adds up what processes tell, and remembers those that are gone."""

    def __init__(self) -> None:
        self._gone: list[Any] = []
        self._own = CollectorRegistry()
        ProcessCollector(registry=self._own)

    def forget(self, told: Sequence[Any]) -> None:
        """Note the last numbers of a process that is gone: what lasts of them is kept."""
        lasting = [family for family in told if family[2] in _LASTING]
        self._gone = in_words(_families([self._gone, lasting]))

    def families(self, told: Iterable[Sequence[Any]]) -> list[Metric]:
        """Give the numbers of all, with what this process itself uses.

        Args:
            told: What each process that there is told by `in_words`.

        """
        # Whoever is gone comes last: series are shown in the order in which they are met.
        return _families([*told, in_words(self._own.collect()), self._gone])


def _families(told: Iterable[Sequence[Any]]) -> list[Metric]:
    families: dict[str, Metric] = {}
    sums: dict[str, dict[_Key, Sample]] = {}
    for process in told:
        for name, documentation, kind, unit, samples in process:
            if name not in families:
                families[name] = Metric(name, documentation, kind, unit)
            series = sums.setdefault(name, {})
            for said in samples:
                sample = _sample(*said)
                key = (sample.name, tuple(sample.labels.items()))
                known = series.get(key)
                series[key] = _joined(name, known, sample) if known else sample
    for name, family in families.items():
        family.samples = list(sums[name].values())
        if name == CIRCUIT_STATE.family:
            family.samples = _one_state_each(family.samples)
    return list(families.values())


def _sample(
    name: str, labels: dict[str, str], value: float, example: list[Any] | None
) -> Sample:
    exemplar = Exemplar(*example) if example else None
    return Sample(name, labels, value, None, exemplar)


def _joined(family: str, one: Sample, other: Sample) -> Sample:
    if family in _LARGEST:
        value = max(one.value, other.value)
    elif family in _SMALLEST:
        value = min(one.value, other.value)
    else:
        value = one.value + other.value
    examples = [each.exemplar for each in (one, other) if each.exemplar]
    latest = max(examples, key=lambda each: each.timestamp or 0.0, default=None)
    return one._replace(value=value, exemplar=latest)


def _one_state_each(samples: Sequence[Sample]) -> list[Sample]:
    """Give 1 to the worst state that a circuit is in, where it differs by process."""
    worst: dict[tuple[tuple[str, str], ...], str] = {}
    for sample in samples:
        state = sample.labels[STATE]
        if sample.value and (
            _WORST.index(state) < _WORST.index(worst.get(_circuit(sample), _WORST[-1]))
        ):
            worst[_circuit(sample)] = state
    return [
        each._replace(
            value=float(each.labels[STATE] == worst.get(_circuit(each), _WORST[-1]))
        )
        for each in samples
    ]


def _circuit(sample: Sample) -> tuple[tuple[str, str], ...]:
    return tuple(each for each in sample.labels.items() if each[0] != STATE)
