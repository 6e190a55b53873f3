"""Whose limits are which, and what is too much."""

import pytest

import gateway.tenants.tenants as module
from gateway.tenants.limits import UNLIMITED, Limits, Rate
from gateway.tenants.tenants import Over, Tenants

ONE = Limits(requests=Rate(1, 1))


def over(tenants: Tenants, tenant: str, *, documents: int = 1, now: float = 0.0) -> str:
    found = tenants.over(tenant, documents=documents, now=now)
    if found is None:
        tenants.begin(tenant, documents=documents, now=now)
    return found.quota if found else ""


def test_each_has_its_own_those_without_have_those_of_the_default() -> None:
    tenants = Tenants({"acme": ONE, "default": Limits(), "anonymous": ONE})
    assert tenants.limits("acme") is ONE
    assert tenants.limits("") is ONE
    assert tenants.limits("other") is not ONE
    assert Tenants({"acme": ONE}).limits("other") is UNLIMITED
    assert Tenants({"acme": ONE}).limits("") is UNLIMITED


def test_names_that_are_shown_are_those_of_the_configuration() -> None:
    tenants = Tenants({"acme": ONE})
    assert [tenants.shown(each) for each in ("acme", "", "stranger")] == [
        "acme",
        "anonymous",
        "default",
    ]


def test_those_of_the_default_have_each_their_own() -> None:
    tenants = Tenants({"default": ONE})
    assert over(tenants, "one") == ""
    assert over(tenants, "one") == "requests_per_s"
    assert over(tenants, "two") == ""
    assert over(tenants, "one", now=1.0) == ""


def test_documents_count_as_well_and_what_is_refused_counts_for_nothing() -> None:
    tenants = Tenants({"acme": Limits(requests=Rate(1, 3), documents=Rate(10, 10))})
    assert over(tenants, "acme", documents=10) == ""
    for _ in range(5):
        found = tenants.over("acme", documents=5, now=0.0)
        assert found == Over("documents_per_s", "10", 0.5)
    assert over(tenants, "acme", documents=5, now=0.5) == ""
    assert over(tenants, "acme", documents=0, now=0.5) == ""


def test_only_so_many_at_once() -> None:
    tenants = Tenants({"acme": Limits(at_once=2)})
    assert over(tenants, "acme") == ""
    begun = tenants.begin("acme", documents=1, now=0.0)
    assert over(tenants, "acme") == "max_concurrent_calls"
    tenants.end(begun)
    assert over(tenants, "acme") == ""


def test_who_has_nothing_under_way_is_forgotten_where_there_are_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MOST_KNOWN", 3)
    tenants = Tenants({"default": Limits(requests=Rate(1, 1), at_once=5)})
    for number in range(3):
        tenants.end(tenants.begin(f"t{number}", documents=1, now=0.0))
    assert over(tenants, "busy", now=0.5) == ""
    assert len(tenants._states) == 4  # none of them is as if it had never been there
    assert over(tenants, "late", now=5.0) == ""
    assert {*tenants._states} == {"busy", "late"}


def test_other_limits_hold_at_once_and_the_same_go_on() -> None:
    slow = Limits(requests=Rate(1, 1), documents=Rate(10, 10))
    tenants = Tenants({"acme": slow, "beta": ONE})
    assert over(tenants, "acme", documents=10) == ""
    assert over(tenants, "beta") == ""
    tenants.limit({"acme": Limits(requests=Rate(5, 5), documents=Rate(10, 10))})
    assert over(tenants, "acme", documents=1) == "documents_per_s"
    assert over(tenants, "acme", documents=0) == ""
    assert over(tenants, "beta") == ""
    assert over(tenants, "beta") == ""
    tenants.limit({"beta": ONE})
    assert [over(tenants, "beta") for _ in range(2)] == ["", "requests_per_s"]


def test_what_is_under_way_counts_whatever_the_limits_become() -> None:
    two = {"acme": Limits(at_once=2)}
    tenants = Tenants({"other": ONE})
    uncounted = tenants.begin("acme", documents=1, now=0.0)
    tenants.limit(two)
    counted = tenants.begin("acme", documents=1, now=0.0)
    tenants.limit({})
    tenants.end(uncounted)
    tenants.limit(two)
    assert [over(tenants, "acme") for _ in range(2)] == ["", "max_concurrent_calls"]
    tenants.end(counted)
    assert [over(tenants, "acme") for _ in range(2)] == ["", "max_concurrent_calls"]
