import pytest

from benchmarks.sizing.plan import CallCost, planned, replicas
from benchmarks.sizing.simulation import simulated
from benchmarks.sizing.tiers import Hits, Log, predicted


@pytest.mark.parametrize("exponent", [0.8, 1.1])
@pytest.mark.parametrize("held", [100, 100_000])
@pytest.mark.parametrize("processes", [1, 4])
def test_what_is_computed_is_what_is_seen_when_it_is_played(
    exponent: float, held: int, processes: int
) -> None:
    log = Log(20_000, exponent)
    computed = predicted(log, rps=500, processes=processes, queries_held=held, ttl_s=60)
    played = simulated(
        log, rps=500, processes=processes, queries_held=held, ttl_s=60, seconds=240
    )
    assert computed.process == pytest.approx(played.process, abs=0.02)
    assert computed.shared == pytest.approx(played.shared, abs=0.02)


def test_groups_are_all_of_the_queries() -> None:
    shares, counts = Log(100_000, 1.0).groups()
    assert counts.sum() == 100_000
    assert (shares * counts).sum() == pytest.approx(1.0)


def test_replicas_leave_room() -> None:
    assert replicas(1000, 1000.0) == 1
    assert replicas(1500, 1000.0) == 2


def test_a_plan_carries_its_load() -> None:
    cost = CallCost(process=600, shared=900, backend=1400)
    plan = planned(Log(100_000, 1.0), cost, rps=10_000, queries_held=900, ttl_s=300)
    assert plan.replicas >= replicas(10_000, cost.of(plan.hits))
    assert cost.process < plan.cpu_us < cost.backend
    assert Hits(0.25, 0.25).missed == 0.5
