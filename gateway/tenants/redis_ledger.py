"""The ledger in Redis or Valkey, where several gateways share it.

What is wanted while an answer is under way goes out together afterwards, in one round trip
and in its order. Each step is one script, which runs whole or not at all, so two gateways
never both take the last unit. How long Redis keeps what it is told is up to its own
settings: without `appendonly`, a restart of it forgets the day. Not for Redis Cluster.

A tenant's day is three hashes: `spent`, by account and column; `reserved`, by reservation;
and `used`, which adds both up by backend, for quotas.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
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
_MOST_WAITING = 100_000
_MOST_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class _Step:
    """One script to be run."""

    script: Any
    account: Account
    arguments: Sequence[str | int]
    done: "asyncio.Future[str] | None"
    """None: nobody waits for it."""
    again: bool
    """Whether it must not be lost. What is written twice then counts once."""

    def answer(self, outcome: str) -> None:
        """Tell whoever waits what came of it."""
        if self.done and not self.done.done():
            self.done.set_result(outcome)

    def fail(self, error: LedgerUnusable) -> None:
        """Tell whoever waits that nothing came of it."""
        if self.done and not self.done.done():
            self.done.set_exception(error)


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
        self._steps: asyncio.Queue[_Step] = asyncio.Queue(_MOST_WAITING)

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
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._put(_Step(self._reserve, account, arguments, done, again=False))
        try:
            over = await done
        except (LedgerUnusable, asyncio.CancelledError):
            # It may be kept back all the same, or still will be: after that it is not.
            for each in reservations:
                self.settle(each, NOTHING, estimated=False)
            raise
        if over == "cost":
            return Excess("daily_budget", money_in_words(daily.budget or 0))
        if over:
            most = getattr(quota, over)
            in_words = in_units(most) if over == "search_units" else str(most)
            return Excess(f"daily.{account.backend}.{over}", in_words)
        return reservations

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
        self._put(_Step(self._settle, reservation.account, arguments, None, again=True))

    def save(self, account: Account, amount: Amount) -> None:
        """Have a saving noted."""
        arguments: Sequence[str | int] = (
            *named(account),
            *amount,
            self._keep_s,
            *bounds_of(account),
        )
        self._put(_Step(self._save, account, arguments, None, again=False))

    def _put(self, step: _Step) -> None:
        try:
            self._steps.put_nowait(step)
        except asyncio.QueueFull:
            error = LedgerUnusable("ledger: too much is not written yet")
            self._tell(str(error))
            if step.done:
                step.done.set_exception(error)

    async def _write_on(self) -> None:
        """Write what there is, in its order, again and again."""
        owed: list[_Step] = []
        while True:
            steps = await self._next(_AGAIN_S if owed else None)
            owed = await self._write([*owed, *steps])

    async def _next(self, within_s: float | None) -> list[_Step]:
        """Take all that waits, or nothing where there is something to try again."""
        steps: list[_Step] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                steps.append(await self._steps.get())
        while len(steps) < _MOST_AT_ONCE and not self._steps.empty():
            steps.append(self._steps.get_nowait())
        return steps

    async def _write(self, steps: Sequence[_Step]) -> list[_Step]:
        """Write all in one round trip, and give what must be tried again."""
        pipeline = self._client.pipeline(transaction=False)
        for step in steps:
            keys = keys_of(step.account)
            await step.script(keys=keys, args=step.arguments, client=pipeline)
        try:
            outcomes: list[Any] = await pipeline.execute(raise_on_error=False)
        except FAILURES as error:
            outcomes = [error] * len(steps)
        owed, failures = [], set[str]()
        for step, outcome in zip(steps, outcomes, strict=True):
            if not isinstance(outcome, Exception):
                step.answer(outcome)
            else:
                # Its kind says enough: what the server says may contain what it was sent.
                failures.add(type(outcome).__name__)
                if step.again:
                    owed.append(step)
                    continue
                step.fail(LedgerUnusable(f"ledger: {type(outcome).__name__}"))
            self._steps.task_done()
        for each in sorted(failures):
            self._tell(f"ledger: {each}")
        return owed

    async def _write_the_last(self) -> None:
        try:
            async with asyncio.timeout(_LAST_S):
                await self._steps.join()
        except TimeoutError:
            left = self._steps.qsize() + 1
            self._tell(f"ledger: {left} settlements were not written before the end")
