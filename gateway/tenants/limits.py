"""What a tenant may use: in a second, at once, and in a day."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

ANONYMOUS: Final = "anonymous"
"""What whoever has no tenant is called in configurations, ledgers and metrics."""

DEFAULT: Final = "default"
"""The section of those that have none of their own."""

GATEWAY: Final = "(gateway)"
"""On whose account the gateway itself asks backends, such as whether they work."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many a second, and so many at once."""

    per_s: float
    burst: float


@dataclass(frozen=True, slots=True)
class Quota:
    """What may be used of one backend in a day; None: any amount."""

    calls: int | None = None
    search_units: int | None = None
    """In thousandths."""
    tokens: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """What may be used in a day, which begins at midnight UTC."""

    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """By backend."""
    budget: int | None = None
    """Of all backends together, in billionths of the currency; None: any amount."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All limits of one tenant; None: there is none."""

    requests: Rate | None = None
    documents: Rate | None = None
    at_once: int | None = None
    daily: Daily = Daily()


UNLIMITED: Final = Limits()
