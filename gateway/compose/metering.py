"""Tenants and their ledger, if there are any."""

from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

from gateway.backends.billing import CALLS
from gateway.compose.stack import Leaf
from gateway.events import Emit, LedgerSilent
from gateway.reloading.change import Change, Prepare, at_once, no_change
from gateway.retrieval.embedders import DIALECTS as EMBEDDERS
from gateway.settings import (
    BackendSettings,
    EmbedderSettings,
    LedgerSettings,
    PriceSettings,
    Settings,
    TenantSettings,
)
from gateway.settings.models import EMBEDDER
from gateway.siblings import Siblings
from gateway.tenants.amounts import Price, billionths, thousandths
from gateway.tenants.counting import Requests
from gateway.tenants.ledger import Calendar, Ledger, LedgerUnusable
from gateway.tenants.limits import Daily, Limits, Quota, Rate
from gateway.tenants.metering import Meter, Metering
from gateway.tenants.tenants import Tenants


async def metering(
    settings: Settings, *, siblings: Siblings, emit: Emit, parts: AsyncExitStack
) -> Metering | None:
    """Open the ledger where tenants are configured; else make nothing at all.

    Args:
        settings: Of all processes that serve together.
        siblings: These processes, each of which has its part of what is per second.
        emit: Told what happens.
        parts: Closes the ledger.

    Raises:
        LedgerUnusable: It cannot be opened.

    """
    if not settings.tenants:
        return None
    return Metering(
        tenants=Tenants(_limits(settings, siblings)),
        ledger=await _ledger(settings.ledger, emit, parts),
        emit=emit,
        calendar=Calendar(),
    )


def requests_of(metered: Metering | None) -> Requests | None:
    """Give what counts requests of tenants, where there are any."""
    return Requests(metered.tenants, metered.emit) if metered else None


def other_limits(metered: Metering | None, siblings: Siblings) -> Prepare:
    """Give what has tenants have other limits: what they have under way stays theirs."""
    if metered is None:
        return no_change

    async def prepare(wanted: Settings) -> Change:
        limits = _limits(wanted, siblings)
        return at_once(lambda: metered.tenants.limit(limits))

    return prepare


def meter(
    common: Metering, leaf: Leaf, *, name: str, settings: BackendSettings
) -> Meter:
    """Make the meter of one backend."""
    return Meter(
        common, backend=name, billing=leaf.billing, price=price_of(settings.price)
    )


def embedder_meter(common: Metering, settings: EmbedderSettings) -> Meter:
    """Make the meter of the embedder."""
    dialect = EMBEDDERS.get(settings.dialect)
    return Meter(
        common,
        backend=EMBEDDER,
        billing=dialect.billing if dialect else CALLS,
        price=price_of(settings.price),
    )


def price_of(settings: PriceSettings | None) -> Price:
    """Read a price from its configuration."""
    if settings is None:
        return Price()
    return Price(
        per_1000_search_units=settings.per_1000_search_units,
        per_million_tokens=settings.per_million_tokens,
        per_1000_calls=settings.per_1000_calls,
    )


def _limits(settings: Settings, siblings: Siblings) -> dict[str, Limits]:
    return {
        name: limits_of(tenant, siblings) for name, tenant in settings.tenants.items()
    }


def limits_of(settings: TenantSettings, siblings: Siblings) -> Limits:
    """Read a tenant's limits, of which one process has its part of all but the daily ones."""
    at_once = settings.max_concurrent_calls
    return Limits(
        requests=_rate(settings.requests_per_s, settings.requests_burst, siblings),
        documents=_rate(settings.documents_per_s, settings.documents_burst, siblings),
        at_once=None if at_once is None else siblings.share(at_once),
        daily=Daily(
            quotas={
                backend: Quota(
                    calls=quota.calls,
                    search_units=(
                        None
                        if quota.search_units is None
                        else thousandths(quota.search_units)
                    ),
                    tokens=quota.tokens,
                )
                for backend, quota in settings.daily.items()
            },
            budget=(
                None
                if settings.daily_budget is None
                else billionths(settings.daily_budget)
            ),
        ),
    )


def _rate(per_s: float | None, burst: float | None, siblings: Siblings) -> Rate | None:
    if per_s is None:
        return None
    at_once = per_s if burst is None else burst
    return Rate(per_s / siblings.count, max(at_once / siblings.count, 1.0))


async def _ledger(
    settings: LedgerSettings, emit: Emit, parts: AsyncExitStack
) -> Ledger:
    def tell(detail: str) -> None:
        emit(LedgerSilent(detail))

    if settings.problem:
        message = f"ledger: {settings.problem}"
        raise LedgerUnusable(message)
    if not settings.url:
        from gateway.tenants.ledger_thread import LedgerThread

        file = LedgerThread(
            Path(settings.path),
            keep_days=settings.keep_days,
            fsync=settings.fsync,
            tell=tell,
        )
        await parts.enter_async_context(file.running())
        return file
    try:
        from gateway.tenants.redis_ledger import RedisLedger
    except ImportError as error:
        message = (
            f"ledger.url: {error.name} is missing: pip install 'rerank-gateway[shared]'"
        )
        raise LedgerUnusable(message) from error
    shared = RedisLedger(
        url=ledger_url(settings),
        timeout_s=settings.timeout_s,
        keep_days=settings.keep_days,
        tell=tell,
    )
    await parts.enter_async_context(shared.running())
    return shared


def ledger_url(settings: LedgerSettings) -> str:
    """Give the address of a shared ledger, with its password."""
    if not settings.password:
        return settings.url
    scheme, _, rest = settings.url.partition("://")
    return f"{scheme}://:{quote(settings.password.get_secret_value(), safe='')}@{rest}"
