"""Remembering scores where several gateways find them, in a real Redis."""

import asyncio
import contextlib
import math
import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from gateway.backends.scorer import Scores
from gateway.events import CacheRead, Event, SharedCacheFailed
from gateway.layers.cache import Cache
from gateway.layers.memory import Entry, Judge
from gateway.layers.pause import Pause
from gateway.layers.redis_memory import RedisMemory
from gateway.layers.stored import Stored
from gateway.ranking.normalize import Scale
from tests.support.caches import SECRET, answered, cached, texts
from tests.support.redis_server import RedisServer, a_redis
from tests.support.scorers import FakeScorer, answers, asking, chooses, now, reads

pytestmark = pytest.mark.real_time

NAME = b"a name, 16 bytes"
KEY = b"a key, of 16 by."
JUDGE = Judge("model", "revision")
# Far more than a busy machine needs: most tests are not about the time.
PATIENT_S = 5.0
BUDGET_S = 0.005


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with a_redis(tmp_path) as started:
        yield started


@asynccontextmanager
async def remembering(
    url: str,
    *,
    secret: bytes = SECRET,
    read_s: float = PATIENT_S,
    max_unwritten: int = 10_000,
    told: list[Event] | None = None,
) -> AsyncIterator[RedisMemory]:
    memory = RedisMemory(
        url=url,
        secret=secret,
        read_s=read_s,
        max_unwritten=max_unwritten,
        emit=(told if told is not None else []).append,
    )
    async with memory.running():
        yield memory


@asynccontextmanager
async def standing_in(
    answer: Callable[[bytes, asyncio.StreamWriter], Awaitable[bool]],
) -> AsyncIterator[str]:
    """Listen in place of a server, until an answer says that it was the last one."""
    served: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            while (sent := await reader.read(100_000)) and await answer(sent, writer):
                pass
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"redis://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0"
    await asyncio.wait([each for each in served if each])


def entry(raw: float = 1.5, *, ttl_s: float = 100.0, age_s: float = 0.0) -> Entry:
    return Entry(
        raw=raw,
        scale=Scale.LOGIT,
        truncated=True,
        stored_at=now() - age_s,
        ttl_s=ttl_s,
    )


async def put(memory: RedisMemory, entries: dict[bytes, Entry]) -> None:
    await memory.put(entries, name=NAME, judge=JUDGE)


async def written(memory: RedisMemory) -> None:
    async with asyncio.timeout(PATIENT_S):
        await memory._writes.join()


async def known(memory: RedisMemory, *keys: bytes) -> list[float | None]:
    return [each.raw if each else None for each in await memory.get(keys)]


def failures(told: list[Event]) -> list[str]:
    return [event.detail for event in told if isinstance(event, SharedCacheFailed)]


# What is shared


async def test_what_one_process_writes_the_other_reads(server: RedisServer) -> None:
    told: list[Event] = []
    async with (
        remembering(server.url, told=told) as one,
        remembering(server.url, told=told) as other,
    ):
        assert await other.judge(NAME) is None
        raw = 0.1 + 0.2
        await put(one, {KEY: entry(raw, age_s=10)})
        await written(one)
        assert await other.judge(NAME) == JUDGE
        missing, found = await other.get([b"some other key..", KEY])
        assert missing is None
        assert found
        assert (found.raw, found.scale, found.truncated) == (raw, Scale.LOGIT, True)
        # Ages survive, whatever the clocks of the two processes say.
        assert now() - found.stored_at == pytest.approx(10, abs=0.5)
    assert told == []


async def test_the_last_writes_are_made_before_the_end(server: RedisServer) -> None:
    keys = [b"key %12d" % number for number in range(3000)]
    async with remembering(server.url) as one:
        await put(one, {key: entry(float(at)) for at, key in enumerate(keys)})
    async with remembering(server.url) as other:
        assert await known(other, *keys) == [float(at) for at in range(3000)]


async def test_an_end_by_cancellation_writes_too(server: RedisServer) -> None:
    async def until_cancelled() -> None:
        async with remembering(server.url) as memory:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                await put(memory, {KEY: entry()})

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(until_cancelled(), 0.3)
    async with remembering(server.url) as memory:
        assert await known(memory, KEY) == [1.5]


async def test_the_server_forgets_what_is_past_its_time(server: RedisServer) -> None:
    async with remembering(server.url) as memory:
        await put(
            memory,
            {
                KEY: entry(ttl_s=1.0),
                b"past its time...": entry(ttl_s=10, age_s=10),
                b"almost past it..": entry(ttl_s=100, age_s=50),
            },
        )
        await written(memory)
        assert await known(memory, KEY, b"past its time...") == [1.5, None]
        await asyncio.sleep(1.05)
        assert await known(memory, KEY, b"almost past it..") == [None, 1.5]
    left_ms = int(server.tell(b"PTTL", b"rerank:almost past it..")[1:])
    assert 39_000 < left_ms <= 50_000


async def test_readers_at_once_are_served_together(server: RedisServer) -> None:
    async with remembering(server.url) as memory:
        keys = [b"key %12d" % number for number in range(100)]
        await put(memory, {key: entry(float(at)) for at, key in enumerate(keys)})
        await written(memory)
        before = _commands(server)
        wanted = [Random(number).sample(range(100), 10) for number in range(50)]
        found = await asyncio.gather(
            *(known(memory, *(keys[at] for at in each)) for each in wanted)
        )
        assert found == [[float(at) for at in each] for each in wanted]
        # Two for each of four round trips, and the one that counts: 500 in one would let
        # the first wait for the last.
        assert _commands(server) - before <= 4 * 2 + 1


async def test_a_turn_that_does_not_come_is_not_the_fault_of_the_server() -> None:
    told: list[Event] = []

    async def slowly(sent: bytes, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"+OK\r\n" * sent.count(b"SETINFO"))
        if b"MGET" in sent:
            await asyncio.sleep(0.4)
        if b"TIME" in sent:
            writer.write(b"*2\r\n$1\r\n1\r\n$1\r\n1\r\n")
        if b"MGET" in sent:
            writer.write(b"*200\r\n" + 200 * b"$-1\r\n")
        return True

    async with (
        standing_in(slowly) as url,
        remembering(url, read_s=1.0, told=told) as memory,
    ):
        keys = [b"key %12d" % number for number in range(200)]
        await asyncio.gather(*(known(memory, *keys) for _ in range(6)))
        assert memory._pause.over(now())
    # Two were served, and the third had asked late.
    no_turn = "shared memory of scores: no turn to read it in 1000 ms"
    assert failures(told) == [no_turn] * 4


def _commands(server: RedisServer) -> int:
    info = server.tell(b"INFO", b"stats").split(b"total_commands_processed:")[1]
    return int(info.split(b"\r\n")[0])


async def test_a_value_is_small_and_no_text_is_in_it(server: RedisServer) -> None:
    async with remembering(server.url) as memory:
        scorer = cached(FakeScorer(), memory=memory, tier="shared")
        await scorer.score(asking("a very telling text", query="a telling query"))
    sizes = [len(server.tell(b"GET", key)) for key in server.keys()]  # noqa: SIM118
    assert len(sizes) == 2
    assert max(sizes) < 60
    everything = b"".join(server.tell(b"GET", key) for key in server.keys())  # noqa: SIM118
    assert b"telling" not in everything


# What is not there


async def test_a_server_that_is_not_there_is_told_and_forgets_everything() -> None:
    told: list[Event] = []
    async with remembering("redis://127.0.0.1:1/0", told=told) as memory:
        assert len(failures(told)) == 1
        await put(memory, {KEY: entry()})
        assert await known(memory, KEY) == [None]
        scorer = cached(FakeScorer(), memory=memory, tier="shared")
        for _ in range(20):
            assert (await scorer.score(asking("1", "2"))).raw == (1.0, 2.0)
    # Not one for every call: it is left alone after some.
    assert 1 < len(failures(told)) < 8
    assert all("ConnectionError" in detail for detail in failures(told))


async def test_a_wrong_password_is_a_memory_that_knows_nothing(tmp_path: Path) -> None:
    told: list[Event] = []
    with a_redis(tmp_path) as server:
        server.tell(b"CONFIG", b"SET", b"requirepass", b"right")
        url = server.url.replace("redis://", "redis://:wrong@")
        async with remembering(url, told=told) as memory:
            await put(memory, {KEY: entry()})
            assert await known(memory, KEY) == [None]
        right = server.url.replace("redis://", "redis://:right@")
        async with remembering(right) as memory:
            await put(memory, {KEY: entry()})
            await written(memory)
            assert await known(memory, KEY) == [1.5]
    assert failures(told)
    assert not any("wrong" in detail for detail in failures(told))


async def test_over_tls_a_server_must_prove_who_it_is(tmp_path: Path) -> None:
    told: list[Event] = []
    with a_redis(tmp_path, tls=True) as server:
        trusting = f"{server.url}?ssl_ca_certs={server.certificate}"
        async with remembering(trusting, told=told) as memory:
            await put(memory, {KEY: entry()})
            await written(memory)
            assert await known(memory, KEY) == [1.5]
        assert told == []
        async with remembering(server.url, told=told) as memory:
            assert await known(memory, KEY) == [None]
        assert failures(told)


async def test_a_full_server_loses_writes_and_nothing_else(tmp_path: Path) -> None:
    told: list[Event] = []
    with a_redis(tmp_path, "--maxmemory", "1000") as server:
        async with remembering(server.url, told=told) as memory:
            await put(memory, {KEY: entry()})
            await written(memory)
            assert await known(memory, KEY) == [None]
    assert any("OutOfMemoryError" in detail for detail in failures(told))


async def test_kill_and_restart_during_use(server: RedisServer) -> None:
    """No call fails, and there are hits again soon after the server is back."""
    told: list[Event] = []
    backend = FakeScorer(answered(reads(), revision="r"))
    chance = Random(3)

    done = asyncio.Event()

    async def calls(scorer: Cache) -> None:
        while not done.is_set():
            wanted = [str(chance.randrange(200)) for _ in range(10)]
            scores: Scores = await scorer.score(asking(*wanted))
            assert scores.raw == tuple(float(text) for text in wanted)
            await asyncio.sleep(0.002)

    async def hits() -> None:
        told.clear()
        async with asyncio.timeout(4 * PATIENT_S):
            while not _hits(told):  # noqa: ASYNC110 - only looking tells
                await asyncio.sleep(0.01)

    async with remembering(server.url, told=told) as memory:
        scorer = cached(backend, memory=memory, tier="shared", emit=told.append)
        busy = asyncio.gather(*(calls(scorer) for _ in range(8)))
        await hits()
        server.kill()
        await asyncio.sleep(0.5)
        assert failures(told)
        server.start()
        await hits()
        done.set()
        await busy


def _hits(told: list[Event]) -> int:
    return sum(event.hits for event in told if isinstance(event, CacheRead))


async def test_a_silent_server_costs_no_more_than_the_budget(
    server: RedisServer,
) -> None:
    told: list[Event] = []
    async with remembering(server.url, read_s=BUDGET_S, told=told) as memory:
        await put(memory, {KEY: entry()})
        await written(memory)
        told.clear()
        server.freeze()
        try:
            waited = []
            for _ in range(20):
                began = now()
                assert await known(memory, KEY) == [None]
                waited.append(now() - began)
        finally:
            server.thaw()
        # Three waited, the others did not ask. A busy machine may wake some late.
        assert sorted(waited)[-3] >= BUDGET_S * 0.9
        assert sorted(waited)[10] < BUDGET_S / 2
        assert sum(waited) < 3 * BUDGET_S + 0.2
        assert failures(told) == ["shared memory of scores: no answer in 5 ms"] * 3
        await _until_known(memory, KEY)


async def _until_known(memory: RedisMemory, key: bytes) -> None:
    async with asyncio.timeout(PATIENT_S):
        while await known(memory, key) == [None]:  # noqa: ASYNC110 - only asking tells
            await asyncio.sleep(0.05)


async def test_an_answer_that_comes_too_late_is_not_given_to_the_next_reader(
    server: RedisServer,
) -> None:
    async with remembering(server.url, read_s=0.05) as memory:
        keys = [b"key %12d" % number for number in range(3)]
        await put(memory, {key: entry(float(at)) for at, key in enumerate(keys)})
        await written(memory)
        server.freeze()
        assert await known(memory, keys[0]) == [None]
        later = asyncio.create_task(known(memory, keys[1], keys[2]))
        await asyncio.sleep(0)
        server.thaw()
        assert await later in ([1.0, 2.0], [None, None])
        assert await known(memory, keys[2]) == [2.0]


async def test_writes_beyond_the_bound_are_dropped_and_told(
    server: RedisServer,
) -> None:
    told: list[Event] = []
    async with remembering(server.url, max_unwritten=2, told=told) as memory:
        await put(memory, {KEY: entry(1.0), b"another key.....": entry(2.0)})
        await put(memory, {b"one too many....": entry(3.0)})
        await written(memory)
        await put(memory, {b"there is room...": entry(4.0)})
        await written(memory)
        keys = (KEY, b"another key.....", b"one too many....", b"there is room...")
        assert await known(memory, *keys) == [1.0, 2.0, None, 4.0]
    assert len(failures(told)) == 1


@pytest.mark.parametrize("count", [1, 2])
async def test_an_end_does_not_wait_for_a_silent_server(
    server: RedisServer, count: int
) -> None:
    told: list[Event] = []
    began = now()
    async with remembering(server.url, told=told) as memory:
        server.freeze()
        for _ in range(count):
            await put(memory, {KEY: entry()})
    server.thaw()
    assert now() - began < 2.5
    assert failures(told)


# What is not ours


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"x",
        b"hello, I am somebody else's value",
        bytes(27),
        bytes(range(27)),
        bytes(10_000),
    ],
)
async def test_a_foreign_value_is_nothing(server: RedisServer, value: bytes) -> None:
    server.tell(b"SET", b"rerank:" + KEY, value)
    server.tell(b"SET", b"rerank:" + NAME, value)
    server.tell(b"LPUSH", b"rerank:a list, not text", b"x")
    told: list[Event] = []
    async with remembering(server.url, told=told) as memory:
        assert await known(memory, KEY, b"a list, not text") == [None, None]
        assert await memory.judge(NAME) is None
        await put(memory, {KEY: entry(7.0)})
        await written(memory)
        assert await known(memory, KEY) == [7.0]
    assert told == []


async def test_without_the_secret_nothing_is_read(server: RedisServer) -> None:
    async with (
        remembering(server.url) as one,
        remembering(server.url, secret=b"another secret, as long") as stranger,
    ):
        await put(one, {KEY: entry()})
        await written(one)
        assert await known(stranger, KEY) == [None]
        assert await stranger.judge(NAME) is None


async def test_whatever_listens_in_its_place_is_a_memory_that_knows_nothing() -> None:
    chance = Random(5)
    told: list[Event] = []

    async def nonsense(_: bytes, writer: asyncio.StreamWriter) -> bool:
        kind = chance.choice([b"HTTP/1.1 400\r\n\r\n", b"*2\r\n$x\r\n", b"$-7\r\n"])
        writer.write(chance.choice([kind, chance.randbytes(50), b"+OK\r\n" * 9]))
        return chance.random() > 0.3

    async with (
        standing_in(nonsense) as url,
        remembering(url, read_s=0.02, told=told) as memory,
    ):
        for _ in range(60):
            memory._pause.succeeded()
            await put(memory, {KEY: entry()})
            assert await known(memory, KEY) == [None]
    assert failures(told)


def test_a_value_with_any_bit_turned_is_nothing() -> None:
    stored = Stored(secret=SECRET)
    written_at = Entry(
        raw=-math.pi, scale=Scale.COSINE, truncated=False, stored_at=5.0, ttl_s=1.0
    )
    value = stored.entry(KEY, written_at, offset_s=100.0)
    assert len(value) == 27
    read = stored.read_entry(KEY, value, offset_s=100.0)
    assert read == written_at._replace(ttl_s=math.inf)
    assert stored.read_entry(NAME, value, offset_s=100.0) is None
    assert stored.read_judge(KEY, value) is None
    for at in range(len(value) * 8):
        turned = bytearray(value)
        turned[at // 8] ^= 1 << at % 8
        assert stored.read_entry(KEY, bytes(turned), offset_s=100.0) is None
    for size in range(len(value)):
        assert stored.read_entry(KEY, value[:size], offset_s=100.0) is None


@pytest.mark.parametrize(
    "body",
    [
        struct.pack(">BBBdQ", 0x12, 0, 0, 1.0, 0),
        struct.pack(">BBBdQ", 0x11, 0, 4, 1.0, 0),
        struct.pack(">BBBdQ", 0x11, 0, 0, math.nan, 0),
        struct.pack(">BBBdQ", 0x11, 0, 0, -math.inf, 0),
        struct.pack(">BBBdQ", 0x21, 0, 0, 1.0, 0),
        struct.pack(">BBBdQ", 0x11, 0, 0, 1.0, 0) + b"and more",
    ],
)
def test_a_value_of_another_version_is_nothing(body: bytes) -> None:
    stored = Stored(secret=SECRET)
    value = body + stored._tag(KEY, body)
    assert stored.read_entry(KEY, value, offset_s=0.0) is None


@pytest.mark.parametrize("scale", Scale)
def test_every_scale_can_be_written(scale: Scale) -> None:
    stored = Stored(secret=SECRET)
    one = Entry(raw=0.5, scale=scale, truncated=True, stored_at=1.0, ttl_s=math.inf)
    value = stored.entry(KEY, one, offset_s=0.0)
    assert stored.read_entry(KEY, value, offset_s=0.0) == one


@pytest.mark.parametrize(
    "judge",
    [Judge("", ""), Judge("m", ""), Judge("", "r"), Judge("名" * 256, "\ud800")],
)
def test_every_judge_can_be_written(judge: Judge) -> None:
    stored = Stored(secret=SECRET)
    value = stored.judge(NAME, judge)
    assert stored.read_judge(NAME, value) == judge
    assert stored.read_judge(KEY, value) is None


# How long it is left alone


def test_three_failures_in_a_row_make_a_pause_and_a_success_forgets_them() -> None:
    pause = Pause()
    for _ in range(5):
        pause.failed(10.0)
        pause.failed(10.0)
        assert pause.over(10.0)
        pause.succeeded()
    for _ in range(3):
        pause.failed(10.0)
    assert not pause.over(10.9)
    assert pause.over(11.0)


def test_each_pause_is_twice_as_long_up_to_half_a_minute() -> None:
    pause = Pause()
    pause.failed(0.0)
    pause.failed(0.0)
    at, lengths = 0.0, []
    for _ in range(8):
        pause.failed(at)
        pause.failed(at)  # of a call from before the pause
        began = at
        while not pause.over(at):
            at += 0.5
        lengths.append(at - began)
    assert lengths == [1, 2, 4, 8, 16, 30, 30, 30]
    pause.succeeded()
    for _ in range(3):
        pause.failed(at)
    assert pause.over(at + 1.0)


# Two gateways


async def test_a_second_gateway_answers_from_the_work_of_the_first(
    server: RedisServer,
) -> None:
    judge = chooses(
        lambda request: answers(
            *(random.Random(text).gauss(0, 4) for text in texts(request))
        )
    )
    backend, idle = FakeScorer(answered(judge, revision="r")), FakeScorer()
    async with remembering(server.url) as one, remembering(server.url) as other:
        first = cached(cached(backend, memory=one, tier="shared"))
        second = cached(cached(idle, memory=other, tier="shared"))
        wanted = [f"document {number}" for number in range(100)]
        said = await first.score(asking(*wanted))
        await written(one)
        scores = await second.score(asking(*reversed(wanted)))
        assert scores.raw == said.raw[::-1]
        assert (scores.model, scores.revision) == ("fake-model", "r")
        assert scores.cached == frozenset(range(100))
        assert 0 <= scores.oldest_s < PATIENT_S
    assert idle.requests == []
