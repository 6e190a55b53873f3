"""Parts that run for as long as anybody has them."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from gateway.reloading.shelf import Shelf


class Made:
    """Counts what was made and what has ended."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.ended: list[str] = []

    def of(self, name: str) -> Callable[[AsyncExitStack], Awaitable[str]]:
        async def make(ends: AsyncExitStack) -> str:
            self.made.append(name)
            ends.callback(self.ended.append, name)
            if name == "broken":
                raise OSError
            return name

        return make


async def test_what_is_equal_is_made_once_and_ends_with_its_last_holder() -> None:
    shelf, made = Shelf[str](), Made()
    first, second = AsyncExitStack(), AsyncExitStack()
    assert await shelf.take("a", 1, made.of("one"), first) == "one"
    assert await shelf.take("a", 1, made.of("again"), second) == "one"
    await first.aclose()
    assert (len(shelf), made.ended) == (1, [])
    await second.aclose()
    assert (len(shelf), made.ended) == (0, ["one"])
    assert made.made == ["one"]


async def test_what_differs_runs_beside_what_it_replaces() -> None:
    shelf, made = Shelf[str](), Made()
    first, second = AsyncExitStack(), AsyncExitStack()
    await shelf.take("a", 1, made.of("old"), first)
    assert await shelf.take("a", 2, made.of("new"), second) == "new"
    await first.aclose()
    assert made.ended == ["old"]
    third = AsyncExitStack()
    assert await shelf.take("a", 1, made.of("once more"), third) == "once more"
    await second.aclose()
    await third.aclose()


async def test_what_cannot_be_made_leaves_nothing_behind() -> None:
    shelf, made = Shelf[str](), Made()
    async with AsyncExitStack() as holder:
        with pytest.raises(OSError):  # noqa: PT011 - the very one that was raised
            await shelf.take("a", 1, made.of("broken"), holder)
    assert (len(shelf), made.ended) == (0, ["broken"])
