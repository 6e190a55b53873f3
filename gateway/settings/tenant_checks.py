"""Check what is configured of tenants, prices and the ledger as a whole."""

from collections.abc import Iterator
from typing import TypeAlias

from gateway.backends.billing import CALLS
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.settings.models import LOCAL, RouteSettings, Settings
from gateway.settings.tenants import LedgerSettings, PriceSettings, TenantSettings

DEFAULT_ROUTE = "default"
"""The route that there always is."""

Backends: TypeAlias = "dict[str, tuple[str, PriceSettings | None]]"
"""By name: its dialect, and its price."""

_UNITS = ("calls", "search_units", "tokens")
_PRICES = {
    "search_units": "per_1000_search_units",
    "tokens": "per_million_tokens",
    "calls": "per_1000_calls",
}


def tenant_problems(settings: Settings) -> Iterator[str]:
    """Name every problem of tenants and prices, with its path."""
    backends: Backends = {LOCAL: (LOCAL, None)}
    backends |= {
        name: (backend.dialect, backend.price)
        for name, backend in settings.backends.items()
    }
    routes = {DEFAULT_ROUTE: RouteSettings(), **settings.routes}
    yield from _price_problems(backends)
    for name, tenant in settings.tenants.items():
        path = f"tenants.{name}"
        yield from _quota_problems(path, tenant, backends)
        if tenant.requests_burst and not tenant.requests_per_s:
            yield f"{path}.requests_burst: needs requests_per_s"
        if tenant.documents_burst and not tenant.documents_per_s:
            yield f"{path}.documents_burst: needs documents_per_s"
        if tenant.daily_budget is None:
            continue
        for route, asked in routes.items():
            for backend in asked.backends:
                if backend in backends and not _is_priced(backends[backend][1]):
                    yield (
                        f"backends.{backend}.price: is required, since"
                        f" tenants.{name} has a daily_budget and the route {route}"
                        " asks this backend (per_1000_calls = 0 where it is free)"
                    )


def ledger_problems(ledger: LedgerSettings) -> Iterator[str]:
    """Name every problem of the ledger, with its path."""
    if not ledger.url:
        if ledger.password_env:
            yield "ledger.password_env: only for a ledger that gateways share (url)"
        return
    if ledger.path:
        yield "ledger.path: the ledger is at ledger.url already"
    if ledger.fsync:
        yield "ledger.fsync: only for a file; see appendfsync of Redis"
    if not ledger.url.startswith(("redis://", "rediss://", "unix://")):
        yield "ledger.url: must begin with redis:// or rediss://"
    if "@" in ledger.url:
        yield "ledger.url: must have no password; name its variable in password_env"


def _price_problems(backends: Backends) -> Iterator[str]:
    for name, (dialect, price) in backends.items():
        unit = _unit(dialect)
        for counted, key in _PRICES.items():
            is_set = price is not None and getattr(price, key) is not None
            if is_set and counted not in ("calls", unit):
                yield f"backends.{name}.price.{key}: {dialect} {_says(unit)}"


def _quota_problems(
    path: str,
    tenant: TenantSettings,
    backends: Backends,
) -> Iterator[str]:
    for backend, quota in tenant.daily.items():
        if backend not in backends:
            yield f"{path}.daily.{backend}: there is no backend {backend!r}"
            continue
        dialect = backends[backend][0]
        unit = _unit(dialect)
        for counted in _UNITS:
            if getattr(quota, counted) is not None and counted not in ("calls", unit):
                yield f"{path}.daily.{backend}.{counted}: {dialect} {_says(unit)}"


def _is_priced(price: PriceSettings | None) -> bool:
    return price is not None and any(
        getattr(price, key) is not None for key in _PRICES.values()
    )


def _unit(dialect: str) -> str:
    traits = DIALECTS.get(dialect) or GRPC_DIALECTS.get(dialect)
    return traits.billing.unit if traits else CALLS.unit


def _says(unit: str) -> str:
    if unit == CALLS.unit:
        return "tells of no units: only calls can be counted"
    return f"counts {unit.replace('_', ' ')}"
