"""Running parts, each kept for as long as any configuration has it."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Part(Generic[T]):
    """Something that runs."""

    name: str
    made_of: object
    runs: T
    ends: AsyncExitStack
    holders: int = 0


class Shelf(Generic[T]):
    """Gives a part that is there already, or has it made.

    Only one may take at a time.
    """

    def __init__(self) -> None:
        self._parts: list[_Part[T]] = []

    def __len__(self) -> int:
        """Count the parts that run."""
        return len(self._parts)

    async def take(
        self,
        name: str,
        made_of: object,
        make: Callable[[AsyncExitStack], Awaitable[T]],
        holder: AsyncExitStack,
    ) -> T:
        """Give a part, and keep it running until whoever holds it ends.

        Args:
            name: Which one.
            made_of: All that it was made of: it is another one if this is not equal.
            make: Makes it; what it enters is ended with the part.
            holder: When it is closed, it needs the part no more.

        """
        part = next(
            (
                each
                for each in self._parts
                if each.name == name and each.made_of == made_of
            ),
            None,
        )
        if part is None:
            async with AsyncExitStack() as ends:
                runs = await make(ends)
                part = _Part(name, made_of, runs, ends.pop_all())
            self._parts.append(part)
        part.holders += 1
        holder.push_async_callback(self._let_go, part)
        return part.runs

    async def _let_go(self, part: _Part[T]) -> None:
        part.holders -= 1
        if not part.holders:
            # First, or somebody would take what is about to end.
            self._parts.remove(part)
            await part.ends.aclose()
