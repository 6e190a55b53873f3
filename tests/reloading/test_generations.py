"""What serves, and what served before for as long as a call needs it."""

import asyncio
from collections.abc import Awaitable, Callable

from gateway.reloading.generations import Current


class Ends:
    """Notes what has ended, in order."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def of(self, name: str) -> Callable[[], Awaitable[None]]:
        async def end() -> None:
            self.ended.append(name)

        return end


async def _call(current: Current[str], may_end: asyncio.Event) -> str:
    served = current.enter()
    await may_end.wait()
    return served


async def test_what_was_replaced_ends_with_its_last_call() -> None:
    ends, may_end = Ends(), asyncio.Event()
    current = Current("old", ends.of("old"))
    calls = [asyncio.create_task(_call(current, may_end)) for _ in range(2)]
    await asyncio.sleep(0)
    current.replace("new", ends.of("new"))
    late = asyncio.create_task(_call(current, may_end))
    await asyncio.sleep(1)
    assert (ends.ended, current.leaving) == ([], 1)
    calls[0].cancel()
    await asyncio.sleep(1)
    assert ends.ended == []
    may_end.set()
    assert await calls[1] == "old"
    assert await late == "new"
    await asyncio.sleep(1)
    assert (ends.ended, current.leaving) == (["old"], 0)
    await current.aclose()
    assert ends.ended == ["old", "new"]


async def test_what_no_call_needs_ends_at_once() -> None:
    ends = Ends()
    current = Current("old", ends.of("old"))
    current.replace("new", ends.of("new"))
    await asyncio.sleep(1)
    assert ends.ended == ["old"]
    await current.aclose()


async def test_at_the_end_nobody_is_waited_for() -> None:
    ends, may_end = Ends(), asyncio.Event()
    current = Current("old", ends.of("old"))
    call = asyncio.create_task(_call(current, may_end))
    await asyncio.sleep(0)
    current.replace("new", ends.of("new"))
    await current.aclose()
    assert ends.ended == ["old", "new"]
    may_end.set()
    await call
