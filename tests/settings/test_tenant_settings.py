"""What is configured of tenants, prices and the ledger."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.compose.metering import ledger_url, limits_of, price_of
from gateway.settings import Settings, SettingsError, checked, load
from gateway.siblings import Siblings
from gateway.tenants.limits import Daily, Limits, Quota, Rate

COHERE = {"dialect": "cohere-v2", "model": "m"}


def problems(**raw: Any) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as raised:
        checked(raw)
    return raised.value.problems


def with_price(**price: Any) -> dict[str, Any]:
    return {**COHERE, "price": price}


def test_without_tenants_there_are_none() -> None:
    assert checked({}).tenants == {}
    assert checked({}).backends["local"].price is None


def test_money_is_what_was_written(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        """
        [backends.cohere]
        dialect = "cohere-v2"
        model = "m"
        price = { per_1000_search_units = 2.05, per_1000_calls = "0.1" }
        [embedder]
        price = { per_1000_calls = 0 }
        [tenants.acme]
        daily_budget = 12.35
        [routes.default]
        backends = ["cohere"]
        """
    )
    settings = load(file, environ={})
    price = settings.backends["cohere"].price
    assert price
    assert price.per_1000_search_units == Decimal("2.05")
    assert price.per_1000_calls == Decimal("0.1")
    assert settings.tenants["acme"].daily_budget == Decimal("12.35")


def test_a_tenant_can_be_configured_by_the_environment() -> None:
    environ = {
        "RERANK_GATEWAY__TENANTS__ACME__DAILY__LOCAL__CALLS": "3",
        "RERANK_GATEWAY__LEDGER__LABELS": '["team"]',
        "XDG_DATA_HOME": "/data",
    }
    settings = load(environ=environ)
    assert settings.tenants["acme"].daily["local"].calls == 3
    assert settings.ledger.labels == ("team",)
    assert settings.ledger.path == "/data/rerank-gateway/ledger.sqlite"


@pytest.mark.parametrize(
    ("price", "problem"),
    [
        (
            {"per_million_tokens": 1},
            "backends.c.price.per_million_tokens: cohere-v2 counts search units",
        ),
        (
            {"per_1000_search_units": "0.0001"},
            (
                "backends.c.price.per_1000_search_units: decimal input should have no"
                " more than 3 decimal places"
            ),
        ),
        (
            {"per_1000_calls": -1},
            "backends.c.price.per_1000_calls: input should be greater than or equal to 0",
        ),
        ({"per_call": 1}, "backends.c.price.per_call: there is no such setting"),
    ],
)
def test_a_price_is_in_the_unit_of_its_vendor(
    price: dict[str, Any], problem: str
) -> None:
    assert problems(backends={"c": with_price(**price)}) == (problem,)


def test_who_tells_of_no_units_has_a_price_for_calls_alone() -> None:
    simple = {"dialect": "simple", "url": "http://x", "scale": "logit"}
    (problem,) = problems(
        backends={"s": {**simple, "price": {"per_million_tokens": 1}}}
    )
    assert problem == (
        "backends.s.price.per_million_tokens: simple tells of no units: only calls can"
        " be counted"
    )
    checked({"backends": {"s": {**simple, "price": {"per_1000_calls": 0}}}})


def test_a_budget_needs_a_price_of_all_that_may_be_asked() -> None:
    raw: dict[str, Any] = {
        "backends": {"c": COHERE, "unused": COHERE},
        "routes": {"default": {"backends": ["c", "local"]}},
        "tenants": {"acme": {"daily_budget": 1}},
    }
    assert [each.partition(":")[0] for each in problems(**raw)] == [
        "embedder.price",
        "backends.c.price",
        "backends.local.price",
    ]
    raw["backends"] = {
        "c": with_price(per_1000_search_units=2),
        "local": {"dialect": "local", "price": {"per_1000_calls": 0}},
    }
    for free in (
        {"embedder": {"price": {"per_1000_calls": 0}}},
        {"embedder": {"dialect": "none"}},
        {"retrieval": {"engine": "none"}},
    ):
        checked({**raw, **free})


def test_without_a_route_the_built_in_scorer_needs_a_price() -> None:
    (problem,) = problems(
        tenants={"acme": {"daily_budget": 1}}, embedder={"dialect": "none"}
    )
    assert problem.startswith("backends.local.price: is required, since tenants.acme")
    assert "(per_1000_calls = 0 where it is free)" in problem


OPENAI = {"dialect": "openai", "url": "http://x"}


@pytest.mark.parametrize(
    ("embedder", "tenant", "problem"),
    [
        (
            {**OPENAI, "price": {"per_1000_search_units": 1}},
            {},
            "embedder.price.per_1000_search_units: openai counts tokens",
        ),
        (
            {"price": {"per_million_tokens": 1}},
            {},
            "embedder.price.per_million_tokens: local tells of no units: only calls",
        ),
        (
            {},
            {"daily": {"embedder": {"tokens": 1}}},
            "tenants.acme.daily.embedder.tokens: local tells of no units: only calls",
        ),
        (
            {"dialect": "none"},
            {"daily": {"embedder": {"calls": 1}}},
            "tenants.acme.daily.embedder: there is no backend 'embedder'",
        ),
    ],
)
def test_an_embedder_has_prices_and_quotas_in_the_unit_of_its_vendor(
    embedder: dict[str, Any], tenant: dict[str, Any], problem: str
) -> None:
    (said,) = problems(embedder=embedder, tenants={"acme": tenant})
    assert said.startswith(problem)
    price = {"per_million_tokens": "0.02", "per_1000_calls": 0}
    checked(
        {
            "embedder": {**OPENAI, "price": price},
            "tenants": {"acme": {"daily": {"embedder": {"tokens": 1, "calls": 2}}}},
        }
    )


@pytest.mark.parametrize(
    ("tenant", "problem"),
    [
        (
            {"daily": {"nobody": {"calls": 1}}},
            "tenants.acme.daily.nobody: there is no backend 'nobody'",
        ),
        (
            {"daily": {"c": {"tokens": 1}}},
            "tenants.acme.daily.c.tokens: cohere-v2 counts search units",
        ),
        (
            {"requests_burst": 3},
            "tenants.acme.requests_burst: needs requests_per_s",
        ),
        (
            {"documents_burst": 3},
            "tenants.acme.documents_burst: needs documents_per_s",
        ),
        (
            {"requests_per_s": 0},
            "tenants.acme.requests_per_s: input should be greater than 0",
        ),
        (
            {"max_concurrent_calls": 0},
            (
                "tenants.acme.max_concurrent_calls: input should be greater than or"
                " equal to 1"
            ),
        ),
    ],
)
def test_limits_that_make_no_sense_are_named(
    tenant: dict[str, Any], problem: str
) -> None:
    assert problems(backends={"c": COHERE}, tenants={"acme": tenant}) == (problem,)


@pytest.mark.parametrize(
    ("ledger", "problem"),
    [
        ({"url": "http://x"}, "ledger.url: must begin with redis:// or rediss://"),
        (
            {"url": "redis://:secret@x"},
            "ledger.url: must have no password; name its variable in password_env",
        ),
        (
            {"url": "redis://x", "path": "y"},
            "ledger.path: the ledger is at ledger.url already",
        ),
        (
            {"url": "redis://x", "fsync": True},
            "ledger.fsync: only for a file; see appendfsync of Redis",
        ),
        (
            {"password_env": "X"},
            "ledger.password_env: only for a ledger that gateways share (url)",
        ),
        ({"password": "x"}, "ledger.password: there is no such setting"),
        (
            {"labels": ["Team"]},
            "ledger.labels.0: must match [a-z0-9_.-]{1,64}",
        ),
    ],
)
def test_a_ledger_that_makes_no_sense_is_named(
    ledger: dict[str, Any], problem: str
) -> None:
    assert problems(ledger=ledger) == (problem,)


def test_the_password_of_a_shared_ledger_comes_from_its_place() -> None:
    environ = {
        "RERANK_GATEWAY__LEDGER__URL": "rediss://host:1/0",
        "RERANK_GATEWAY__LEDGER__PASSWORD_ENV": "SECRET",
    }
    missing = load(environ=environ).ledger
    assert missing.problem == "environment variable SECRET is not set"
    found = load(environ={**environ, "SECRET": "a/b"}).ledger
    assert ledger_url(found) == "rediss://:a%2Fb@host:1/0"
    assert "a/b" not in repr(found)


def test_limits_are_read_and_each_process_has_its_part_of_what_is_per_second() -> None:
    settings: Settings = checked(
        {
            "backends": {"c": COHERE},
            "tenants": {
                "acme": {
                    "requests_per_s": 10,
                    "documents_per_s": 100,
                    "documents_burst": 400,
                    "max_concurrent_calls": 5,
                    "daily": {"c": {"search_units": "1.5", "calls": 9}},
                },
                "slow": {"requests_per_s": 0.5},
            },
        }
    )
    acme = settings.tenants["acme"]
    daily = Daily(quotas={"c": Quota(calls=9, search_units=1500)})
    assert limits_of(acme, Siblings()) == Limits(
        requests=Rate(10, 10), documents=Rate(100, 400), at_once=5, daily=daily
    )
    assert limits_of(acme, Siblings(0, 4)) == Limits(
        requests=Rate(2.5, 2.5), documents=Rate(25, 100), at_once=2, daily=daily
    )
    # At least one of them can get through.
    assert limits_of(settings.tenants["slow"], Siblings(0, 4)).requests == Rate(
        0.125, 1.0
    )


def test_a_price_of_nothing_is_known_and_none_is_not() -> None:
    assert not price_of(None).is_set
    free = checked(
        {"backends": {"local": {"dialect": "local", "price": {"per_1000_calls": 0}}}}
    )
    assert price_of(free.backends["local"].price).is_set
