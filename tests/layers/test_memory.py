"""Remembering scores in this process."""

import asyncio
import tracemalloc
from random import Random

import pytest

from gateway.layers.memory import (
    Entry,
    Judge,
    soon_forgotten_s,
)
from gateway.layers.process_memory import BYTES_PER_ENTRY, ProcessMemory
from gateway.ranking.normalize import Scale
from tests.support.caches import process_memory
from tests.support.scorers import now

NAME, JUDGE = b"backend", Judge("model", "revision")


def entry(raw: float = 1.0, *, ttl_s: float = 100.0, age_s: float = 0.0) -> Entry:
    return Entry(
        raw=raw,
        scale=Scale.LOGIT,
        truncated=False,
        stored_at=now() - age_s,
        ttl_s=ttl_s,
    )


async def put(memory: ProcessMemory, entries: dict[bytes, Entry]) -> None:
    await memory.put(entries, name=NAME, judge=JUDGE)


async def known(memory: ProcessMemory, *keys: bytes) -> list[float | None]:
    return [each.raw if each else None for each in await memory.get(keys)]


async def test_what_was_put_is_given_as_it_was() -> None:
    memory = process_memory()
    remembered = Entry(
        raw=0.1 + 0.2,
        scale=Scale.COSINE,
        truncated=True,
        stored_at=now(),
        ttl_s=9.0,
    )
    await put(memory, {b"a": remembered})
    assert await memory.get([b"b", b"a"]) == [None, remembered]


async def test_the_last_judge_is_remembered() -> None:
    memory = process_memory()
    assert await memory.judge(NAME) is None
    await put(memory, {})
    assert await memory.judge(NAME) == JUDGE
    await memory.put({}, name=NAME, judge=Judge("model", "new"))
    assert await memory.judge(NAME) == Judge("model", "new")
    assert await memory.judge(b"other") is None


async def test_an_entry_is_forgotten_after_its_own_time() -> None:
    memory = process_memory()
    await put(memory, {b"a": entry(ttl_s=10), b"b": entry(ttl_s=100)})
    await asyncio.sleep(8.9)
    assert await known(memory, b"a", b"b") == [1.0, 1.0]
    await asyncio.sleep(1.1)  # being asked for does not make it younger
    assert await known(memory, b"a", b"b") == [None, 1.0]
    await asyncio.sleep(90)
    assert await known(memory, b"a", b"b") == [None, None]
    assert memory.used_bytes == 0


async def test_its_time_begins_when_the_score_was_given() -> None:
    memory = process_memory()
    await put(memory, {b"a": entry(age_s=60, ttl_s=100)})
    await asyncio.sleep(29)
    assert await known(memory, b"a") == [1.0]
    await asyncio.sleep(11)
    assert await known(memory, b"a") == [None]


async def test_what_is_already_past_its_time_is_not_remembered() -> None:
    memory = process_memory()
    await put(memory, {b"a": entry()})
    await put(memory, {b"a": entry(age_s=100, ttl_s=100)})
    assert await known(memory, b"a") == [None]


def test_a_time_is_shortened_by_at_most_a_tenth_and_never_lengthened() -> None:
    chance = Random(1)
    times = [soon_forgotten_s(100.0, chance) for _ in range(1000)]
    assert min(times) == pytest.approx(90, abs=0.5)
    assert max(times) == pytest.approx(100, abs=0.5)
    assert max(times) <= 100


async def test_what_was_not_used_for_the_longest_time_makes_room() -> None:
    memory = process_memory(2 * BYTES_PER_ENTRY)
    await put(memory, {b"a": entry(), b"b": entry()})
    await known(memory, b"a")
    await put(memory, {b"c": entry()})
    assert await known(memory, b"a", b"b", b"c") == [1.0, None, 1.0]


async def test_the_bound_holds_whatever_comes() -> None:
    memory = process_memory(10 * BYTES_PER_ENTRY + 1)
    chance = Random(2)
    for _ in range(100):
        await put(memory, {chance.randbytes(1): entry(ttl_s=5) for _ in range(30)})
        assert memory.used_bytes <= 10 * BYTES_PER_ENTRY
        await asyncio.sleep(chance.random())


async def test_what_is_forgotten_is_counted_by_why() -> None:
    memory = process_memory(3 * BYTES_PER_ENTRY)
    await put(memory, {b"a": entry(ttl_s=10), b"b": entry(ttl_s=10)})
    await put(memory, {b"c": entry(ttl_s=99), b"d": entry(ttl_s=99)})
    assert (memory.entries, memory.expired, memory.displaced) == (3, 0, 1)
    await asyncio.sleep(11)
    assert (memory.entries, memory.expired, memory.displaced) == (2, 1, 1)
    assert memory.used_bytes == 2 * BYTES_PER_ENTRY


async def test_what_is_replaced_is_not_forgotten() -> None:
    memory = process_memory(3 * BYTES_PER_ENTRY)
    for _ in range(5):
        await put(memory, {b"a": entry(), b"b": entry()})
    assert (memory.entries, memory.expired, memory.displaced) == (2, 0, 0)


@pytest.mark.parametrize("max_bytes", [0, BYTES_PER_ENTRY - 1])
async def test_no_room_for_one_remembers_nothing(max_bytes: int) -> None:
    memory = process_memory(max_bytes)
    await put(memory, {b"a": entry()})
    assert await known(memory, b"a") == [None]


async def test_an_entry_takes_the_memory_that_it_is_counted_for() -> None:
    most = 5000
    memory = process_memory(most * BYTES_PER_ENTRY)
    chance = Random(3)
    tracemalloc.start()
    try:
        # Many times what there is room for: what was forgotten must not stay behind.
        for _ in range(200):
            await put(
                memory,
                {chance.randbytes(16): entry(chance.random()) for _ in range(100)},
            )
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory.used_bytes == most * BYTES_PER_ENTRY
    assert 0.6 * memory.used_bytes < used_bytes < memory.used_bytes


SHELVES = 8192 * BYTES_PER_ENTRY
"""Enough for several shelves."""


async def test_keys_of_one_question_and_of_many_are_kept_and_given_alike() -> None:
    memory = process_memory(SHELVES)
    of_one = {b"q" + bytes([at]): entry(at) for at in range(9)}
    of_many = {bytes([at]) + b"x": entry(100 + at) for at in range(9)}
    await put(memory, of_one)
    await put(memory, of_many)
    for keys in (list(of_one), list(of_many), [*of_many, *of_one, b"never"]):
        everything = {**of_one, **of_many}
        wanted = [everything[key].raw if key in everything else None for key in keys]
        assert await known(memory, *keys) == wanted
    assert memory.entries == 18


async def test_what_one_shelf_forgets_stays_on_the_others() -> None:
    memory = process_memory(SHELVES)
    await put(memory, {b"b": entry()})
    await put(memory, {b"a%d" % at: entry() for at in range(5000)})
    assert await known(memory, b"b", b"a0", b"a4999") == [1.0, None, 1.0]
    assert memory.displaced == 5000 - 4096
    assert memory.used_bytes <= SHELVES


async def test_that_nothing_has_changed_is_told_across_shelves() -> None:
    memory = process_memory(SHELVES)
    entries = {b"a": entry(1), b"b": entry(2)}
    await put(memory, entries)
    still = memory.still(list(entries), list(entries.values()), name=NAME, judge=JUDGE)
    assert still()
    await put(memory, {b"b": entry(3)})
    assert not still()


async def test_all_shelves_together_have_the_room_that_was_asked_for() -> None:
    for most in (1, 4095, 8193, 12_289, 300_001):
        memory = process_memory(most * BYTES_PER_ENTRY)
        assert sum(shelf._most for shelf in memory._shelves) == most
