"""A memory of which no tenant can take another one's part."""

import asyncio
import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.layers.memory import Entry, Judge
from gateway.layers.process_memory import BYTES_PER_ENTRY, ProcessMemory
from gateway.layers.tenant_memory import (
    BYTES_PER_OWNED,
    TenantShelf,
    tenant_memory,
)
from gateway.ranking.normalize import Scale
from tests.support.identities import by
from tests.support.scorers import now

NAME, JUDGE = b"backend", Judge("model", "revision")
EACH = BYTES_PER_ENTRY + BYTES_PER_OWNED


def entry(raw: float = 1.0, *, ttl_s: float = 100.0) -> Entry:
    return Entry(
        raw=raw, scale=Scale.LOGIT, truncated=False, stored_at=now(), ttl_s=ttl_s
    )


def held(memory: ProcessMemory, tenant: str) -> int:
    shelves = [each for each in memory._shelves if isinstance(each, TenantShelf)]
    assert len(shelves) == len(memory._shelves)
    return sum(each.held_by(tenant) for each in shelves)


async def put(
    memory: ProcessMemory, tenant: str, *names: str, ttl_s: float = 9
) -> None:
    entries = {name.encode(): entry(ttl_s=ttl_s) for name in names}
    with by(tenant):
        await memory.put(entries, name=NAME, judge=JUDGE)


async def known(memory: ProcessMemory, *names: str) -> list[str]:
    found = await memory.get([name.encode() for name in names])
    return [name for name, each in zip(names, found, strict=True) if each]


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


async def test_a_greedy_tenant_pushes_out_nothing_but_its_own() -> None:
    memory = tenant_memory(max_bytes=100 * EACH)
    modest = names("modest", 50)
    await put(memory, "modest", *modest)
    for part in range(40):
        await put(memory, "greedy", *names(f"greedy{part}-", 25))
    assert await known(memory, *modest) == modest
    assert memory.entries == 100
    assert held(memory, "greedy") == 50


async def test_alone_a_tenant_has_all_of_it() -> None:
    memory = tenant_memory(max_bytes=100 * EACH)
    await put(memory, "first", *names("a", 100))
    assert held(memory, "first") == 100
    assert memory.displaced == 0


async def test_who_comes_later_gets_its_part_from_whoever_holds_the_most() -> None:
    memory = tenant_memory(max_bytes=90 * EACH)
    await put(memory, "much", *names("much", 60))
    await put(memory, "some", *names("some", 30))
    await put(memory, "new", *names("new", 30))
    assert [held(memory, each) for each in ("much", "some", "new")] == [30, 30, 30]


async def test_of_its_own_a_tenant_loses_what_it_did_not_use() -> None:
    memory = tenant_memory(max_bytes=4 * EACH)
    await put(memory, "one", "a", "b", "c", "d")
    assert await known(memory, "a") == ["a"]
    await put(memory, "one", "e")
    assert await known(memory, "a", "b", "c", "d", "e") == ["a", "c", "d", "e"]


async def test_what_is_known_to_be_so_still_counts_as_used() -> None:
    memory = tenant_memory(max_bytes=2 * EACH)
    await put(memory, "one", "a", "b")
    (kept,) = await memory.get([b"a"])
    assert kept
    still = memory.still([b"a"], [kept], name=NAME, judge=JUDGE)
    await put(memory, "one", "c")  # "a" is spared, since it was asked for
    assert still()
    await put(memory, "one", "d")
    assert await known(memory, "a", "b", "c", "d") == ["a", "d"]
    assert still()


async def test_a_score_is_whose_who_put_it_last_and_given_to_anybody() -> None:
    memory = tenant_memory(max_bytes=10 * EACH)
    await put(memory, "one", "a")
    await put(memory, "other", "a")
    assert (held(memory, "one"), held(memory, "other")) == (0, 1)
    with by("one"):
        assert await known(memory, "a") == ["a"]


async def test_what_is_past_its_time_is_nobodys() -> None:
    memory = tenant_memory(max_bytes=10 * EACH)
    await put(memory, "one", "a", "b", ttl_s=1)
    await put(memory, "one", "c", ttl_s=100)
    await asyncio.sleep(2)
    assert await known(memory, "b") == []
    assert memory.entries == 1
    assert held(memory, "one") == 1
    assert memory.expired == 2


async def test_more_at_once_than_there_is_room_for_leaves_the_last() -> None:
    memory = tenant_memory(max_bytes=5 * EACH)
    await put(memory, "one", "z")
    await put(memory, "other", *names("a", 9))
    assert memory.entries == 5
    assert held(memory, "one") + held(memory, "other") == 5


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.sets(st.integers(0, 60), min_size=1, max_size=9)
        ),
        max_size=40,
    )
)
async def test_who_holds_no_more_than_its_part_loses_nothing_to_others(
    puts: list[tuple[str, set[int]]],
) -> None:
    memory = tenant_memory(max_bytes=30 * EACH)
    for tenant, numbers in puts:
        before = {each: held(memory, each) for each in "abc"}
        holders = {each for each, count in before.items() if count} | {tenant}
        part = 30 // len(holders)
        mine = [f"{tenant}{number}" for number in numbers]
        await put(memory, tenant, *mine)
        for other in holders - {tenant}:
            if before[other] <= part:
                assert held(memory, other) == before[other]
            else:
                assert held(memory, other) >= part
        assert await known(memory, *mine) == mine
        assert sum(held(memory, each) for each in "abc") == memory.entries <= 30


async def test_it_takes_no_more_memory_than_it_says() -> None:
    most = 2000
    memory = tenant_memory(max_bytes=most * EACH)
    chance = Random(7)
    tracemalloc.start()
    try:
        for number in range(100):
            entries = {chance.randbytes(16): entry(chance.random()) for _ in range(100)}
            with by(f"tenant{number % 4}"):
                await memory.put(entries, name=NAME, judge=JUDGE)
                await memory.get(list(entries))
        used_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert memory.used_bytes == most * EACH
    assert used_bytes == pytest.approx(0.8 * memory.used_bytes, rel=0.25)
    assert used_bytes < memory.used_bytes
