"""What the ledger's keys and fields are called in Redis."""

import json

from redis.exceptions import RedisError

from gateway.tenants.ledger import MOST_LABELS, OTHER, Account

FAILURES = (RedisError, OSError, EOFError, ValueError)
"""What a server, or whatever listens in its place, can make the library raise."""

COLUMNS = ("calls", "search_units", "tokens", "cost", "unpriced")
"""What an amount consists of, in its order."""


def keys_of(account: Account) -> list[str]:
    """Name what the scripts write to."""
    day = f"rerank-ledger:{account.day}:{account.tenant}"
    return [
        f"{day}:spent",
        f"{day}:reserved",
        f"{day}:used",
        tenants_on(account.day),
    ]


def tenants_on(day: str) -> str:
    """Name the set of those who used anything on a day."""
    return f"rerank-ledger:{day}"


def named(account: Account) -> tuple[str, str, str, str]:
    """Name the tenant, the backend, and the account with its labels and with others."""
    words = [word for label in account.labels for word in label]
    other = [word for name, _ in account.labels for word in (name, OTHER)]
    return (
        account.tenant,
        account.backend,
        f"{account.backend}|{json.dumps(words)}",
        f"{account.backend}|{json.dumps(other)}",
    )


def bounds_of(account: Account) -> tuple[int, ...]:
    """Tell how many sets of labels there may be; 0: there are none."""
    return (MOST_LABELS if account.labels else 0,)
