"""Read the ledger that gateways share."""

import json
import time
from typing import Any

from redis.asyncio import Redis

from gateway.tenants.amounts import NOTHING, Amount
from gateway.tenants.ledger import Account, LedgerUnusable, Line
from gateway.tenants.redis_names import COLUMNS, FAILURES, keys_of, tenants_on


async def read_shared_ledger(
    url: str, *, timeout_s: float, day: str, tenant: str | None
) -> list[Line]:
    """Read what was used.

    Args:
        url: With a password if it needs one.
        timeout_s: How long one answer may take.
        day: Which day.
        tenant: Whose; None: everybody's.

    Raises:
        LedgerUnusable: It cannot be read.

    """
    client: Any = Redis.from_url(
        url,
        protocol=2,
        decode_responses=True,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
    )
    async with client:
        try:
            names: set[str] = await client.smembers(tenants_on(day))
            lines: list[Line] = []
            for name in sorted(names):
                if tenant in (None, name):
                    account = Account(day, name, "")
                    spent, reserved, _ = keys_of(account)[:3]
                    lines += _lines(
                        account,
                        await client.hgetall(spent),
                        await client.hgetall(reserved),
                    )
        except FAILURES as error:
            message = f"ledger: {type(error).__name__}"
            raise LedgerUnusable(message) from error
    return lines


def _lines(
    whose: Account, spent: dict[str, str], reserved: dict[str, str]
) -> list[Line]:
    numbers: dict[str, dict[str, int]] = {}
    for field, value in spent.items():
        named, _, column = field.rpartition("|")
        numbers.setdefault(named, {})[column] = int(value)
    kept: dict[str, Amount] = {}
    lost: dict[str, Amount] = {}
    for text in reserved.values():
        one = json.loads(text)
        # Nobody will settle it any more, and the next one who comes writes that down.
        those = lost if int(one["lost_at"]) < time.time() else kept
        amount = Amount(*map(int, one["amount"]))
        those[one["account"]] = those.get(one["account"], NOTHING).plus(amount)
    lines = []
    for named in sorted({*numbers, *kept, *lost}):
        backend, _, labels = named.partition("|")
        of, estimate = numbers.get(named, {}), lost.get(named, NOTHING)
        words = json.loads(labels)
        lines.append(
            Line(
                Account(
                    whose.day,
                    whose.tenant,
                    backend,
                    tuple(zip(words[::2], words[1::2], strict=True)),
                ),
                spent=Amount(*(of.get(each, 0) for each in COLUMNS)).plus(estimate),
                estimated=of.get("estimated", 0) + estimate.calls,
                reserved=kept.get(named, NOTHING),
                saved=Amount(*(of.get(f"saved_{each}", 0) for each in COLUMNS)),
            )
        )
    return lines
