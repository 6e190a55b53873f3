"""Check what is configured of tenants, prices and the ledger as a whole."""

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.backends.billing import CALLS
from gateway.backends.dialects import DIALECTS, GRPC_DIALECTS
from gateway.retrieval.embedders import DIALECTS as EMBEDDERS
from gateway.settings.models import (
    EMBEDDER,
    LOCAL,
    NO_EMBEDDER,
    NO_ENGINE,
    RouteSettings,
    Settings,
)
from gateway.settings.tenants import LedgerSettings, PriceSettings, TenantSettings

DEFAULT_ROUTE = "default"
"""The route that there always is."""


@dataclass(frozen=True, slots=True)
class _Paid:
    """Something that may have a price and quotas."""

    path: str
    dialect: str
    unit: str
    """In which its vendor counts."""
    price: PriceSettings | None


Backends = dict[str, _Paid]
"""By name, and the embedder among them."""

_UNITS = ("calls", "search_units", "tokens")
_PRICES = {
    "search_units": "per_1000_search_units",
    "tokens": "per_million_tokens",
    "calls": "per_1000_calls",
}


def tenant_problems(settings: Settings) -> Iterator[str]:
    """Name every problem of tenants and prices, with its path."""
    backends = _backends(settings)
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
        embedder = backends.get(EMBEDDER)
        if embedder and not _is_priced(embedder.price):
            yield (
                f"{EMBEDDER}.price: is required, since tenants.{name} has a"
                " daily_budget and searches and imports ask the embedder"
                " (per_1000_calls = 0 where it is free)"
            )
        for route, asked in routes.items():
            for backend in asked.backends:
                if backend in backends and not _is_priced(backends[backend].price):
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
    for paid in backends.values():
        for counted, key in _PRICES.items():
            is_set = paid.price is not None and getattr(paid.price, key) is not None
            if is_set and counted not in ("calls", paid.unit):
                yield f"{paid.path}.price.{key}: {paid.dialect} {_says(paid.unit)}"


def _quota_problems(
    path: str,
    tenant: TenantSettings,
    backends: Backends,
) -> Iterator[str]:
    for backend, quota in tenant.daily.items():
        if backend not in backends:
            yield f"{path}.daily.{backend}: there is no backend {backend!r}"
            continue
        paid = backends[backend]
        for counted in _UNITS:
            is_set = getattr(quota, counted) is not None
            if is_set and counted not in ("calls", paid.unit):
                where = f"{path}.daily.{backend}.{counted}"
                yield f"{where}: {paid.dialect} {_says(paid.unit)}"


def _backends(settings: Settings) -> Backends:
    found = {LOCAL: _Paid(f"backends.{LOCAL}", LOCAL, CALLS.unit, None)}
    for name, backend in settings.backends.items():
        unit = _unit(backend.dialect)
        found[name] = _Paid(f"backends.{name}", backend.dialect, unit, backend.price)
    embedder = settings.embedder
    if embedder.dialect != NO_EMBEDDER and settings.retrieval.engine != NO_ENGINE:
        dialect = EMBEDDERS.get(embedder.dialect)
        unit = dialect.billing.unit if dialect else CALLS.unit
        found[EMBEDDER] = _Paid(EMBEDDER, embedder.dialect, unit, embedder.price)
    return found


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
