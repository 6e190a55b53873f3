"""A change that is ready: all of it is put in place in one moment, or nothing is."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TypeAlias

from gateway.settings import Settings


class CannotChange(Exception):
    """What is wanted cannot be built.

    Args:
        problems: Each with its path, such as `backends.mine: …`.

    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Change:
    """What was built beside what serves; one of the two must be called."""

    apply: Callable[[], None]
    """Puts it in place. Never fails, and never waits."""
    discard: Callable[[], Awaitable[None]]
    """Ends what was built."""


Prepare: TypeAlias = Callable[[Settings], Awaitable[Change]]
"""Builds what other settings want, beside what serves. Raises `CannotChange`.

Whatever can be replaced by a reload is behind one of these: the keys of callers, say."""


async def _nothing() -> None:
    pass


def at_once(apply: Callable[[], None]) -> Change:
    """Give a change for which nothing had to be built."""
    return Change(apply, _nothing)


async def no_change(_: Settings) -> Change:
    """Prepare nothing: what other settings want of this waits for the next start."""
    return at_once(lambda: None)


def all_or_nothing(*each: Prepare) -> Prepare:
    """Prepare several as one: they are applied in this order, in one moment."""

    async def prepare(settings: Settings) -> Change:
        ready: list[Change] = []

        def apply() -> None:
            for one in ready:
                one.apply()

        async with AsyncExitStack() as built:
            for one in each:
                change = await one(settings)
                built.push_async_callback(change.discard)
                ready.append(change)
            return Change(apply, built.pop_all().aclose)

    return prepare
