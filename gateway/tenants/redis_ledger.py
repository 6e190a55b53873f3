"""The ledger in Redis or Valkey, where several gateways share it.

Each step is one script, which runs whole or not at all, so two gateways never both take the
last unit. How long Redis keeps what it is told is up to its own settings: without
`appendonly`, a restart of it forgets the day. Not for Redis Cluster.

A tenant's day is three hashes: `spent`, by account and column; `reserved`, by reservation;
and `used`, which adds both up by backend, for quotas.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from gateway.concurrency import in_the_background
from gateway.tenants import redis_scripts as scripts
from gateway.tenants.amounts import NOTHING, Amount, money_in_words, total
from gateway.tenants.amounts import search_units_in_words as in_units
from gateway.tenants.ledger import (
    Account,
    Excess,
    LedgerUnusable,
    Reservation,
)
from gateway.tenants.limits import Daily, Quota
from gateway.tenants.redis_names import FAILURES, bounds_of, keys_of, named

# A call that is not settled by then has lost its gateway.
_LOST_AFTER_S = 300.0

_AGAIN_S = 0.5
_LAST_S = 2.0
_MOST_OWED = 100_000


@dataclass(frozen=True, slots=True)
class _Owed:
    """What must be written, be it later."""

    account: Account
    script: Any
    arguments: Sequence[str | int]
    again: bool
    """Whether it may be written twice, which then counts once."""


class RedisLedger:
    """A `Ledger` that gateways on several machines share.

    Args:
        url: `redis://` or `rediss://`, with a password if it needs one.
        timeout_s: How long a step may take.
        keep_days: How long a day is kept.
        tell: Told what is wrong.

    """

    def __init__(
        self, *, url: str, timeout_s: float, keep_days: int, tell: Callable[[str], None]
    ) -> None:
        self._client = Redis.from_url(
            url,
            protocol=2,  # the same answers from every version of either server
            decode_responses=True,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._keep_s = keep_days * 86_400
        self._tell = tell
        self._name = uuid4().hex
        self._numbers = count(1)
        self._reserve = self._client.register_script(scripts.RESERVE)
        self._settle = self._client.register_script(scripts.SETTLE)
        self._save = self._client.register_script(scripts.SAVE)
        self._owed: asyncio.Queue[_Owed] = asyncio.Queue(_MOST_OWED)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be of use within the block, and write the last settlements at its end.

        Raises:
            LedgerUnusable: There is no such server.

        """
        async with self._client:
            try:
                await self._client.ping()
            except FAILURES as error:
                message = f"ledger: {type(error).__name__}"
                raise LedgerUnusable(message) from error
            async with in_the_background(self._write_on()):
                try:
                    yield
                finally:
                    await self._write_the_last()

    async def reserve(
        self, account: Account, amounts: Sequence[Amount], daily: Daily
    ) -> Sequence[Reservation] | Excess:
        """Keep something back, in one round trip."""
        reservations = [
            Reservation(f"{self._name}-{next(self._numbers)}", account, amount)
            for amount in amounts
        ]
        quota = daily.quotas.get(account.backend, Quota())
        limits = (quota.calls, quota.search_units, quota.tokens, daily.budget)
        arguments = [
            *named(account),
            *total(amounts),
            *("" if each is None else each for each in limits),
            int(time.time() + _LOST_AFTER_S),
            int(time.time()),
            self._keep_s,
            *bounds_of(account),
            *(part for each in reservations for part in (each.id, *each.amount)),
        ]
        try:
            over = await self._reserve(keys=keys_of(account), args=arguments)
        except FAILURES as error:
            # It may be kept back all the same, and is given back then.
            self._release(reservations)
            message = f"ledger: {type(error).__name__}"
            self._tell(message)
            raise LedgerUnusable(message) from error
        except asyncio.CancelledError:
            self._release(reservations)
            raise
        if over == "cost":
            return Excess("daily_budget", money_in_words(daily.budget or 0))
        if over:
            most = getattr(quota, over)
            in_words = in_units(most) if over == "search_units" else str(most)
            return Excess(f"daily.{account.backend}.{over}", in_words)
        return reservations

    def _release(self, reservations: Sequence[Reservation]) -> None:
        for each in reservations:
            self.settle(each, NOTHING, estimated=False)

    def settle(
        self, reservation: Reservation, amount: Amount, *, estimated: bool
    ) -> None:
        """Have a call settled."""
        arguments: Sequence[str | int] = (
            reservation.id,
            *named(reservation.account),
            *amount,
            amount.calls if estimated else 0,
            self._keep_s,
            *bounds_of(reservation.account),
        )
        self._owe(_Owed(reservation.account, self._settle, arguments, again=True))

    def save(self, account: Account, amount: Amount) -> None:
        """Have a saving noted."""
        arguments: Sequence[str | int] = (
            *named(account),
            *amount,
            self._keep_s,
            *bounds_of(account),
        )
        self._owe(_Owed(account, self._save, arguments, again=False))

    def _owe(self, owed: _Owed) -> None:
        try:
            self._owed.put_nowait(owed)
        except asyncio.QueueFull:
            self._tell("ledger: too much is not written, the estimate stands")

    async def _write_on(self) -> None:
        while True:
            owed = await self._owed.get()
            try:
                await self._write(owed)
            finally:
                self._owed.task_done()

    async def _write(self, owed: _Owed) -> None:
        while True:
            if await self._written(owed) or not owed.again:
                return
            await asyncio.sleep(_AGAIN_S)

    async def _written(self, owed: _Owed) -> bool:
        try:
            await owed.script(keys=keys_of(owed.account), args=owed.arguments)
        except FAILURES as error:
            self._tell(f"ledger: {type(error).__name__}")
            return False
        return True

    async def _write_the_last(self) -> None:
        try:
            async with asyncio.timeout(_LAST_S):
                await self._owed.join()
        except TimeoutError:
            left = self._owed.qsize() + 1
            self._tell(f"ledger: {left} settlements were not written before the end")
