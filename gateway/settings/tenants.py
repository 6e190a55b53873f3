"""Settings of tenants, of prices, and of the ledger."""

from decimal import Decimal
from typing import Annotated

from pydantic import Field, SecretStr

from gateway.settings.section import Count, Seconds, Section

TenantName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:@|/+=-]{1,128}$")]

Pace = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Money = Annotated[
    Decimal, Field(ge=0, le=1_000_000, decimal_places=9, allow_inf_nan=False)
]
PriceOf = Annotated[
    Decimal, Field(ge=0, le=100_000, decimal_places=3, allow_inf_nan=False)
]


class PriceSettings(Section):
    """What a backend costs, in the currency of the ledger. All that is set adds up."""

    per_1000_search_units: PriceOf | None = None
    """Of Cohere's search units, or Pinecone's rerank units."""
    per_million_tokens: PriceOf | None = None
    per_1000_calls: PriceOf | None = None
    """Of answered calls, whatever they bring; 0 says that it costs nothing."""


class QuotaSettings(Section):
    """What a tenant may use of one backend in a day; unset: any amount."""

    calls: Annotated[int, Field(ge=0)] | None = None
    search_units: Annotated[Decimal | None, Field(ge=0, decimal_places=3, le=10**9)] = (
        None
    )
    """Of Cohere's search units, or Pinecone's rerank units."""
    tokens: Annotated[int, Field(ge=0)] | None = None


class TenantSettings(Section):
    """What one tenant may use; unset: as much as it wants.

    Of what is per second or at once, each worker has its own part.
    """

    requests_per_s: Pace | None = None
    """Of whatever kind: rerankings, remembered ones too, searches, batches of imports."""
    requests_burst: Pace | None = None
    """So many at once; unset: those of one second, at least 1."""
    documents_per_s: Pace | None = None
    """Documents to be reranked."""
    documents_burst: Pace | None = None
    """So many at once, and all of a larger request if nothing came for a while; unset:
    those of one second, at least 1."""
    max_concurrent_calls: Count | None = None
    """Requests at once; an import is one, however many batches it brings."""
    daily: dict[str, QuotaSettings] = Field(default_factory=dict)
    """By backend: what may be used of it from midnight to midnight UTC."""
    daily_budget: Money | None = None
    """The same of all backends together, in money."""


class LedgerSettings(Section):
    """Where it is written down what tenants use."""

    path: str = ""
    """A file of SQLite, which all workers share; unset: below the user's data folder."""
    url: str = ""
    """Instead of a file, of a Redis or Valkey that several gateways share:
    redis://HOST:PORT/DB or rediss://…"""
    password_env: str = ""
    """Name of the environment variable that holds its password."""
    timeout_s: Seconds = 0.5
    """How long Redis may take to answer; a call whose cost cannot be written down is not
    made."""
    currency: str = Field(default="", max_length=16)
    """Of all prices and budgets: any word, such as EUR."""
    labels: tuple[Annotated[str, Field(pattern=r"^[a-z0-9_.-]{1,64}$")], ...] = Field(
        default=(), max_length=4
    )
    """Which labels of requests are written down, and shown in traces."""
    keep_days: Count = 400
    """How long a day is kept."""
    fsync: bool = False
    """Of a file: whether what is written survives a loss of power too. Without, it survives
    the death of the process."""

    password: SecretStr | None = Field(default=None, exclude=True)
    """The password itself: read from its place, never from the configuration."""
    problem: str = ""
    """Why the ledger cannot be used although it is configured correctly."""
