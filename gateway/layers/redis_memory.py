"""Remember scores in Redis or Valkey, where several gateways find them.

Whatever goes wrong there, the scores count as unknown: nobody waits longer than a few
milliseconds, and no call fails.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from gateway.concurrency import in_the_background
from gateway.events import Emit, SharedCacheFailed
from gateway.layers.memory import Entry, Judge
from gateway.layers.pause import Pause
from gateway.layers.stored import Stored

# For a connection, its handshake, or an answer that nobody waits for any more; also how
# long a start waits for the memory, and an end for the last writes.
_PATIENCE_S = 1.0

# How many pairs are read or written at a time, or as many as one reader wants. Of many
# readers, the first ones are served before the last ones have waited too long; and to
# pack so many writes, the loop stands still for a millisecond or two.
_PAIRS_AT_ONCE = 200

# Longer than any score is remembered.
_JUDGE_TTL_MS = 48 * 60 * 60 * 1000

# Of the event loop, until an answer that has come has reached who waits: it is read,
# understood and handed on. In a quiet loop they take no time.
_LAST_TURNS = 10

_PREFIX = b"rerank:"

# What a server, or whatever listens in its place, can make the library raise: nonsense
# ends in a ValueError, a connection lost at a bad moment in an EOFError.
_FAILURES = (RedisError, OSError, EOFError, ValueError)


@dataclass(frozen=True, slots=True)
class _Read:
    keys: Sequence[bytes]
    values: asyncio.Future[list[bytes | None] | None]
    """None: the memory failed, which was told."""


@dataclass(frozen=True, slots=True)
class _Write:
    entries: Mapping[bytes, Entry]
    name: bytes
    judge: Judge


class RedisMemory:
    """A `Memory` that outlives the process and that others share.

    It has two connections of its own, one for reading and one for writing, which nobody
    else waits for: opening one may take longer than a reader has. What is wanted while an
    answer is under way is asked for together afterwards, in one round trip. Not for Redis
    Cluster, which refuses to read keys of several nodes at once.

    Args:
        url: `redis://` or `rediss://`, with a password if it needs one.
        secret: Common to all gateways that share it.
        read_s: How long a call waits for it.
        max_unwritten: Pairs that wait to be written; more are dropped.
        emit: Told of every failure.

    """

    def __init__(
        self,
        *,
        url: str,
        secret: bytes,
        read_s: float,
        max_unwritten: int,
        emit: Emit,
    ) -> None:
        self._client = Redis.from_url(
            url,
            protocol=2,  # the same answers from every version of either server
            socket_timeout=_PATIENCE_S,
            socket_connect_timeout=_PATIENCE_S,
            retry=Retry(NoBackoff(), 0),  # a pause is ours to make
        )
        self._stored = Stored(secret=secret)
        self._read_s = read_s
        self._max_unwritten = max_unwritten
        self._emit = emit
        self._judges: dict[bytes, Judge] = {}
        self._pause = Pause()
        self._offset_s: float | None = None
        self._asked_at: float | None = None
        """When what is being read was asked for; None: nothing is."""
        self._reads: asyncio.Queue[_Read] = asyncio.Queue()
        self._writes: asyncio.Queue[_Write] = asyncio.Queue()
        self._unwritten = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Be of use within the block, and write the last scores at its end.

        An unreachable server is told, and no reason not to start.
        """
        async with (
            self._client,
            in_the_background(self._read_on()),
            in_the_background(self._write_on()),
        ):
            await self._fetch([])
            try:
                yield
            finally:
                await self._write_the_last()

    async def _write_the_last(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._writes.join()
        except TimeoutError:
            self._failed(f"{self._unwritten} scores were not written before the end")

    async def probe(self) -> str:
        """Write something, and say why that failed; empty: it did not."""
        try:
            await self._client.set(_PREFIX + b"probe", b"", px=1)
        except _FAILURES as error:
            return type(error).__name__
        return ""

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last, as far as this process or, before it, any other knows."""
        if name not in self._judges:
            values = await self._read([name])
            judge = self._stored.read_judge(name, values[0])
            if judge is None:
                return None
            # What was learned meanwhile is newer.
            self._judges.setdefault(name, judge)
        return self._judges[name]

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known, in one round trip, or nothing if that takes too long."""
        values = await self._read(keys)
        offset_s = self._offset_s or 0.0  # there are no values before it is known
        return [
            self._stored.read_entry(key, value, offset_s=offset_s)
            for key, value in zip(keys, values, strict=True)
        ]

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Have scores written, some time after this returns at once."""
        self._judges[name] = judge
        if not entries or not self._pause.over(_now()):
            return
        if self._unwritten + len(entries) > self._max_unwritten:
            detail = (
                f"{self._unwritten} scores wait to be written: {len(entries)} dropped"
            )
            self._tell(detail)
            return
        self._unwritten += len(entries)
        self._writes.put_nowait(_Write(entries, name, judge))

    async def _read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        nothing: list[bytes | None] = [None] * len(keys)
        if not self._pause.over(_now()):
            return nothing
        read = _Read(keys, asyncio.get_running_loop().create_future())
        self._reads.put_nowait(read)
        try:
            values = await self._in_time(read.values)
        finally:
            read.values.cancel()  # whoever leaves has nothing read
        if values is None:
            return nothing
        self._pause.succeeded()
        return values

    async def _in_time(
        self, values: asyncio.Future[list[bytes | None] | None]
    ) -> list[bytes | None] | None:
        await asyncio.wait([values], timeout=self._read_s)
        # The loop may have been busy, and sees that the time is over before it sees what
        # has come meanwhile.
        for _ in range(_LAST_TURNS):
            if values.done():
                return values.result()
            await asyncio.sleep(0)
        self._late()
        return None

    def _late(self) -> None:
        """Tell that a reader left, and blame the server if it was the slow one."""
        waited_ms = self._read_s * 1000
        if self._asked_at and _now() - self._asked_at > self._read_s / 2:
            self._failed(f"no answer in {waited_ms:.0f} ms")
        else:
            # To leave it alone for a second would not make us any faster.
            self._tell(f"no turn to read it in {waited_ms:.0f} ms")

    async def _read_on(self) -> None:
        """Read for everybody who waits, again and again."""
        while True:
            reads: list[_Read] = []
            keys: list[bytes] = []
            while not reads or (len(keys) < _PAIRS_AT_ONCE and self._reads.qsize()):
                read = await self._reads.get()
                if not read.values.done():  # who waited for too long has left
                    reads.append(read)
                    keys += read.keys
            self._asked_at = _now()
            values = await self._fetch(keys)
            self._asked_at = None
            start = 0
            for read in reads:
                end = start + len(read.keys)
                if not read.values.done():
                    read.values.set_result(values and values[start:end])
                start = end

    async def _fetch(self, keys: list[bytes]) -> list[bytes | None] | None:
        """Read values and the server's clock in one round trip; None: it failed."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.execute_command("TIME")
        if keys:
            pipeline.execute_command("MGET", *(_PREFIX + key for key in keys))
        answers = await self._answers(pipeline)
        if answers is None:
            return None
        seconds, microseconds = answers[0]
        self._offset_s = seconds + microseconds / 1e6 - _now()
        return answers[1] if keys else []

    async def _write_on(self) -> None:
        """Write what was put, again and again."""
        while True:
            write = await self._writes.get()
            try:
                await self._write(write)
            finally:
                self._unwritten -= len(write.entries)
                self._writes.task_done()

    async def _write(self, write: _Write) -> None:
        items = list(write.entries.items())
        for start in range(0, len(items), _PAIRS_AT_ONCE):
            if not self._pause.over(_now()):
                return
            if self._offset_s is None and await self._fetch([]) is None:
                return
            await self._write_pairs(items[start : start + _PAIRS_AT_ONCE], write)

    async def _write_pairs(
        self, items: list[tuple[bytes, Entry]], write: _Write
    ) -> None:
        offset_s = self._offset_s or 0.0
        now = _now()
        pipeline = self._client.pipeline(transaction=False)
        judge = self._stored.judge(write.name, write.judge)
        pipeline.execute_command(
            "SET", _PREFIX + write.name, judge, "PX", _JUDGE_TTL_MS
        )
        for key, entry in items:
            left_ms = int((entry.until - now) * 1000)
            if left_ms > 0:
                value = self._stored.entry(key, entry, offset_s=offset_s)
                pipeline.execute_command("SET", _PREFIX + key, value, "PX", left_ms)
        await self._answers(pipeline)

    async def _answers(self, pipeline: Pipeline) -> list[Any] | None:
        """Give what the server answers to several commands; None: it failed."""
        try:
            return list(await pipeline.execute())
        except _FAILURES as error:
            # Its kind says enough: what the server says may contain what it was sent.
            self._failed(type(error).__name__)
            return None

    def _failed(self, detail: str) -> None:
        self._pause.failed(_now())
        self._tell(detail)

    def _tell(self, detail: str) -> None:
        self._emit(SharedCacheFailed(f"shared memory of scores: {detail}"))


def _now() -> float:
    return asyncio.get_running_loop().time()
