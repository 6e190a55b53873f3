"""What is counted where, and that no caller and no backend makes it too much."""

import math

import pytest
from prometheus_client.exposition import choose_encoder

from gateway.backends.errors import FailureReason
from gateway.events import (
    BackendSilent,
    CacheRead,
    CallMetered,
    CircuitChanged,
    CircuitState,
    Hedged,
    Retried,
    SharedCacheFailed,
    TenantRefused,
)
from gateway.telemetry.catalogue import METRICS, MOST_SERIES, Kind
from gateway.telemetry.instruments import Instruments, RerankEnd
from gateway.telemetry.measures import Measures
from tests.deploy.emitted import by_the_gateway


def value(instruments: Instruments, name: str, **labels: str) -> float | None:
    return instruments.registry.get_sample_value(name, labels)


def shown(instruments: Instruments) -> str:
    encode, _ = choose_encoder("application/openmetrics-text")
    return encode(instruments.registry).decode()


def attempted(instruments: Instruments, backend: str, error_type: str = "") -> None:
    instruments.attempt_began(backend)
    instruments.attempt_ended(backend, error_type=error_type, duration_s=0.02)


def test_dashboards_and_alerts_ask_for_what_is_shown() -> None:
    shown = {}
    for metric in METRICS:
        labels = frozenset(metric.labels)
        if metric.kind is Kind.HISTOGRAM:
            shown[f"{metric.family}_bucket"] = labels | {"le"}
            shown[f"{metric.family}_sum"] = shown[f"{metric.family}_count"] = labels
        else:
            total = "_total" if metric.kind is Kind.COUNTER else ""
            shown[metric.family + total] = labels
    asked = by_the_gateway()
    assert shown == {
        name: asked[name] for name in asked if not name.startswith("process_")
    }


def test_what_a_rerank_ended_in_is_counted() -> None:
    instruments = Instruments()
    instruments.rerank_ended(
        RerankEnd(
            cache_result="partial",
            candidate_count=50,
            budget_s=2.0,
            backend="tei",
            model="bge",
            best_score=0.93,
            displacement=0.25,
            top1_changed=True,
            search_units=1.0,
            tokens=1200,
        )
    )
    who = {"rerank_gateway_backend": "tei"}
    judged = {**who, "reranker_model_name": "bge"}
    looked_up = {"rerank_gateway_cache_result": "partial"}
    changed = {**who, "rerank_gateway_rank_top1_changed": "true"}
    units = {**who, "rerank_gateway_billed_unit": "search_units"}
    tokens = {**who, "rerank_gateway_billed_unit": "tokens"}
    for name, labels, expected in (
        ("rerank_gateway_cache_lookups_total", looked_up, 1),
        ("rerank_gateway_candidates_sum", {}, 50),
        ("rerank_gateway_candidates_bucket", {"le": "50.0"}, 1),
        ("rerank_gateway_candidates_bucket", {"le": "20.0"}, 0),
        ("rerank_gateway_deadline_budget_seconds_sum", {}, 2),
        ("rerank_gateway_result_score_sum", judged, 0.93),
        ("rerank_gateway_rank_displacement_sum", judged, 0.25),
        ("rerank_gateway_rank_top1_total", changed, 1),
        ("rerank_gateway_backend_billed_units_total", units, 1),
        ("rerank_gateway_backend_billed_units_total", tokens, 1200),
    ):
        assert value(instruments, name, **labels) == expected, name


def test_a_rerank_that_fell_back_is_counted_by_why_and_by_who_failed() -> None:
    instruments = Instruments()
    instruments.rerank_ended(
        RerankEnd(
            cache_result="miss",
            candidate_count=5,
            budget_s=math.inf,
            fallback_reason=FailureReason.TIMEOUT,
            failed_backend="tei",
        )
    )
    labels = {
        "rerank_gateway_fallback_reason": "timeout",
        "rerank_gateway_backend": "tei",
    }
    assert value(instruments, "rerank_gateway_fallbacks_total", **labels) == 1
    # Nobody scored, and no time was set: no number stands for that.
    assert value(instruments, "rerank_gateway_deadline_budget_seconds_count") == 0
    assert "rerank_gateway_result_score_count" not in shown(instruments)


def test_a_call_to_a_backend_is_in_flight_until_it_ends() -> None:
    instruments = Instruments()
    labels = {"rerank_gateway_backend": "tei"}
    instruments.attempt_began("tei")
    instruments.attempt_began("tei")
    assert value(instruments, "rerank_gateway_backend_inflight", **labels) == 2
    for error_type in ("", "timeout"):
        instruments.attempt_ended("tei", error_type=error_type, duration_s=0.3)
        assert (
            value(
                instruments,
                "rerank_gateway_backend_attempt_duration_seconds_count",
                error_type=error_type,
                **labels,
            )
            == 1
        )
    assert value(instruments, "rerank_gateway_backend_inflight", **labels) == 0


def test_events_are_counted() -> None:
    instruments = Instruments()
    measures = Measures(instruments)
    acme = {"tenant": "acme", "backend": "tei"}
    for event in (
        CacheRead("tei", "process", hits=3, misses=2),
        CacheRead("tei", "process", hits=1, misses=0),
        SharedCacheFailed("no answer"),
        Retried("tei", FailureReason.TIMEOUT),
        Hedged("tei", won=True),
        Hedged("tei", won=False),
        BackendSilent("tei", "of no interest here"),
        CallMetered("acme", "tei", calls=1, search_units=2.0, tokens=0, cost=0.5),
        CallMetered("acme", "tei", calls=1, search_units=0.5, tokens=7, cost=0.0),
        TenantRefused("acme", "daily_budget"),
    ):
        measures(event)
    for name, labels, expected in (
        ("cache_pairs", {"cache_tier": "process", "cache_result": "hit"}, 4),
        ("cache_pairs", {"cache_tier": "process", "cache_result": "miss"}, 2),
        ("cache_failures", {}, 1),
        ("backend_extra_calls", {"backend": "tei", "extra_call_kind": "retry"}, 1),
        ("backend_extra_calls", {"backend": "tei", "extra_call_kind": "hedge"}, 2),
        ("tenant_units", {**acme, "billed_unit": "calls"}, 2),
        ("tenant_units", {**acme, "billed_unit": "search_units"}, 2.5),
        ("tenant_units", {**acme, "billed_unit": "tokens"}, 7),
        ("tenant_cost", acme, 0.5),
        ("tenant_refused", {"tenant": "acme", "quota": "daily_budget"}, 1),
    ):
        full = {f"rerank_gateway_{key}": label for key, label in labels.items()}
        assert value(instruments, f"rerank_gateway_{name}_total", **full) == expected


def test_a_circuit_is_in_one_state() -> None:
    instruments = Instruments()
    instruments.expect_backend("tei")

    def states() -> dict[str, float | None]:
        return {
            state: value(
                instruments,
                "rerank_gateway_backend_circuit_state",
                rerank_gateway_backend="tei",
                state=state,
            )
            for state in ("closed", "open", "half_open")
        }

    assert states() == {"closed": 1, "open": 0, "half_open": 0}
    Measures(instruments)(CircuitChanged("tei", CircuitState.HALF_OPEN))
    assert states() == {"closed": 0, "open": 0, "half_open": 1}


def test_each_server_of_a_backend_has_a_circuit() -> None:
    instruments = Instruments()
    instruments.expect_backend("tei", servers=["tei/1", "tei/2"])
    for name, expected in (("tei/1", 1), ("tei/2", 1), ("tei", None)):
        labels = {"rerank_gateway_backend": name, "state": "closed"}
        state = value(instruments, "rerank_gateway_backend_circuit_state", **labels)
        assert state == expected
    in_flight = value(
        instruments, "rerank_gateway_backend_inflight", rerank_gateway_backend="tei"
    )
    assert in_flight == 0


def test_what_can_be_expected_is_0_before_it_happens() -> None:
    instruments = Instruments()
    instruments.expect_backend("tei")
    instruments.expect_fallbacks("tei")
    who = {"rerank_gateway_backend": "tei"}
    for name, labels in (
        ("cache_lookups_total", {"rerank_gateway_cache_result": "bypass"}),
        ("backend_inflight", who),
        (
            "backend_extra_calls_total",
            {**who, "rerank_gateway_extra_call_kind": "hedge"},
        ),
        ("fallbacks_total", {**who, "rerank_gateway_fallback_reason": "circuit_open"}),
    ):
        assert value(instruments, f"rerank_gateway_{name}", **labels) == 0


def test_what_is_watched_is_read_when_somebody_looks() -> None:
    instruments = Instruments()
    memory = {"entries": 3.0, "used_bytes": 2100.0, "expired": 0.0, "displaced": 5.0}
    instruments.watch_memory(
        **{name: lambda name=name: memory[name] for name in memory}
    )
    instruments.watch_server(lag_s=lambda: 0.25, in_flight=lambda: 7)
    for _ in range(2):
        instruments.look()
    memory.update(entries=2.0, expired=1.0, displaced=8.0)
    instruments.look()
    for name, labels, expected in (
        ("cache_entries", {}, 2),
        ("cache_size_bytes", {}, 2100),
        ("cache_evictions_total", {"rerank_gateway_cache_eviction_reason": "ttl"}, 1),
        (
            "cache_evictions_total",
            {"rerank_gateway_cache_eviction_reason": "capacity"},
            8,
        ),
        ("event_loop_lag_seconds", {}, 0.25),
        ("server_inflight", {}, 7),
    ):
        assert value(instruments, f"rerank_gateway_{name}", **labels) == expected


@pytest.mark.parametrize("duration_s", [-0.001, math.nan, math.inf])
def test_what_is_no_duration_is_not_counted(duration_s: float) -> None:
    instruments = Instruments()
    instruments.stage_ended("rerank", duration_s)
    instruments.stage_ended("rerank", 0.5)
    name = "rerank_gateway_stage_duration_seconds"
    stage = {"rerank_gateway_stage": "rerank"}
    assert value(instruments, f"{name}_sum", **stage) == 0.5
    assert value(instruments, f"{name}_count", **stage) == 1


def test_names_from_elsewhere_make_only_so_many_series() -> None:
    instruments = Instruments()
    for number in range(MOST_SERIES + 100):
        attempted(instruments, f"backend{number}", "timeout")
    name = "rerank_gateway_backend_attempt_duration_seconds_count"

    def counted(backend: str, error_type: str = "timeout") -> float | None:
        return value(
            instruments, name, rerank_gateway_backend=backend, error_type=error_type
        )

    assert counted("backend0") == 1
    assert counted(f"backend{MOST_SERIES - 1}") == 1
    assert counted(f"backend{MOST_SERIES}") is None
    assert counted("_OTHER") == 100
    # Values of our own stay what they are, and so does what is known already.
    attempted(instruments, "yet another")
    attempted(instruments, "backend0", "timeout")
    assert counted("_OTHER", "") == 1
    assert counted("backend0") == 2
    in_flight = value(
        instruments, "rerank_gateway_backend_inflight", rerank_gateway_backend="_OTHER"
    )
    assert in_flight == 0


def test_an_example_of_a_sampled_trace_goes_with_its_bucket() -> None:
    instruments = Instruments()
    sampled = "0af7651916cd43dd8448eb211c80319c"
    instruments.stage_ended("rerank", 0.0042, trace_id=sampled)
    instruments.stage_ended("rerank", 0.0301)
    examples = [line for line in shown(instruments).splitlines() if " # {" in line]
    assert len(examples) == 1
    assert 'le="0.005"' in examples[0]
    assert f'trace_id="{sampled}"' in examples[0]


def test_two_gateways_in_one_process_count_apart() -> None:
    one, other = Instruments(), Instruments()
    one.dropped("traces", 3)
    dropped = {"rerank_gateway_telemetry_signal": "traces"}
    assert value(one, "rerank_gateway_telemetry_dropped_total", **dropped) == 3
    assert value(other, "rerank_gateway_telemetry_dropped_total", **dropped) is None
