"""Questions and answers over a socket of two ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.workers.link import Link, LinkEnded, linked

pytestmark = pytest.mark.real_time


async def _echo(what: str, value: object) -> object:
    return [what, value]


async def _never(_: str, __: object) -> object:
    return await asyncio.get_running_loop().create_future()


async def _hear(what: str, _: object) -> object:
    raise AssertionError(what)


@asynccontextmanager
async def both_ends(answer: object) -> AsyncIterator[tuple[Link, Link]]:
    ours, its = socket.socketpair()
    async with linked(ours, _hear) as one, linked(its, answer) as other:  # type: ignore[arg-type]  # any of those above
        yield one, other


async def test_each_question_gets_its_answer() -> None:
    async with both_ends(_echo) as (one, _):
        large = "x" * 1_000_000
        answers = await asyncio.gather(
            *(one.ask(f"q{each}", each, within_s=10) for each in range(20)),
            one.ask("much", large, within_s=10),
        )
    assert answers == [*([f"q{each}", each] for each in range(20)), ["much", large]]


async def test_who_does_not_answer_is_not_waited_for() -> None:
    async with both_ends(_never) as (one, _):
        with pytest.raises(TimeoutError):
            await one.ask("q", within_s=0.01)


async def test_who_is_gone_answers_nothing_and_is_noticed() -> None:
    ours, its = socket.socketpair()
    gone = asyncio.Event()
    async with linked(ours, _hear, gone=gone.set) as one:
        async with linked(its, _never):
            asked = asyncio.create_task(one.ask("q", within_s=10))
            await asyncio.sleep(0)
        with pytest.raises(LinkEnded):
            await asked
        await gone.wait()
        with pytest.raises(LinkEnded):
            await one.ask("q", within_s=10)
