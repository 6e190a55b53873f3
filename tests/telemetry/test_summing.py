"""The numbers of several processes, as one."""

import json

from prometheus_client import CollectorRegistry, Gauge, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition, parser

from gateway.events import CircuitState
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.summing import Summed, in_words

_STATE = "rerank_gateway_backend_circuit_state"


def told(instruments: Instruments) -> list[object]:
    instruments.look()
    words: list[object] = json.loads(
        json.dumps(in_words(instruments.registry.collect()))
    )
    return words


def value(families: list[Metric], name: str, **labels: str) -> float:
    (found,) = [
        sample.value
        for family in families
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    return found


def test_counters_and_histograms_add_up_bucket_by_bucket() -> None:
    one, other = Instruments(), Instruments()
    one.stage_ended("rerank", 0.004)
    other.stage_ended("rerank", 0.3, trace_id="t")
    other.stage_ended("embed", 0.3)
    one.called_again("tei", "retry")
    other.called_again("tei", "retry")

    families = Summed().families([told(one), told(other)])

    name = "rerank_gateway_stage_duration_seconds"
    assert value(families, f"{name}_count", rerank_gateway_stage="rerank") == 2
    assert value(families, f"{name}_sum", rerank_gateway_stage="rerank") == 0.304
    for bound, count in (("0.0025", 0), ("0.005", 1), ("0.25", 1), ("+Inf", 2)):
        labels = {"rerank_gateway_stage": "rerank", "le": bound}
        assert value(families, f"{name}_bucket", **labels) == count
    assert value(families, f"{name}_count", rerank_gateway_stage="embed") == 1
    extra = "rerank_gateway_backend_extra_calls_total"
    assert value(families, extra, rerank_gateway_extra_call_kind="retry") == 2


def test_what_those_counted_that_are_gone_stays_and_their_gauges_go() -> None:
    gone, other = Instruments(), Instruments()
    for each in (gone, other):
        each.watch_server(lag_s=lambda: 0.0, in_flight=lambda: 2)
        each.called_again("tei", "hedge")
    summed = Summed()
    for _ in range(2):
        summed.forget(told(gone))

    families = summed.families([told(other)])

    extra = "rerank_gateway_backend_extra_calls_total"
    assert value(families, extra, rerank_gateway_extra_call_kind="hedge") == 3
    assert value(families, "rerank_gateway_server_inflight") == 2


def test_gauges_add_up_but_for_those_that_tell_of_the_busiest_and_the_oldest() -> None:
    busy, idle = Instruments(), Instruments()
    busy.watch_server(lag_s=lambda: 0.5, in_flight=lambda: 3)
    idle.watch_server(lag_s=lambda: 0.1, in_flight=lambda: 1)

    families = Summed().families([told(busy), told(idle)])

    assert value(families, "rerank_gateway_server_inflight") == 4
    assert value(families, "rerank_gateway_event_loop_lag_seconds") == 0.5
    assert value(families, "python_info") == 1
    alone = Summed().families([])
    start = "process_start_time_seconds"
    assert value(families, start) == value(alone, start)
    memory = "process_resident_memory_bytes"
    assert value(families, memory) > 2.5 * value(alone, memory)


def test_a_circuit_is_what_it_is_where_it_is_worst() -> None:
    states = list(CircuitState)
    for first in states:
        for second in states:
            one, other = Instruments(), Instruments()
            for each, state in ((one, first), (other, second)):
                each.expect_backend("fine")
                each.circuit_changed("tei", state)
            families = Summed().families([told(one), told(other)])
            shown = {
                state: value(
                    families, _STATE, rerank_gateway_backend="tei", state=state.lower()
                )
                for state in states
            }
            worst = min(
                (first, second),
                key=[
                    CircuitState.OPEN,
                    CircuitState.HALF_OPEN,
                    CircuitState.CLOSED,
                ].index,
            )
            assert shown == {state: float(state is worst) for state in states}
            fine = {"rerank_gateway_backend": "fine", "state": "closed"}
            assert value(families, _STATE, **fine) == 1


def test_the_latest_example_is_shown_in_what_prometheus_can_read() -> None:
    one, other = Instruments(), Instruments()
    one.stage_ended("rerank", 0.2, trace_id="earlier")
    other.stage_ended("rerank", 0.2, trace_id="later")

    class Collected(CollectorRegistry):
        def collect(self) -> list[Metric]:
            return Summed().families([told(other), told(one)])

    text = exposition.generate_latest(Collected()).decode()  # type: ignore[no-untyped-call]  # half typed
    families = list(parser.text_string_to_metric_families(text))  # type: ignore[no-untyped-call]  # half typed
    examples = [
        sample.exemplar.labels
        for family in families
        for sample in family.samples
        if sample.exemplar
    ]
    assert examples == [{"trace_id": "later"}]
    assert generate_latest(Collected())


def test_numbers_that_json_lacks_arrive_as_they_are() -> None:
    registry = CollectorRegistry()
    Gauge("odd", "Is not finite.", registry=registry).set(float("inf"))
    words = json.loads(json.dumps(in_words(registry.collect())))
    assert value(Summed().families([words]), "odd") == float("inf")
