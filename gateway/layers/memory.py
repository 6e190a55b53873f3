"""What any memory of scores is, and what it remembers of one."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from random import Random
from typing import NamedTuple, Protocol, TypeVar

from gateway.backends.scorer import Scores
from gateway.ranking.normalize import Scale
from gateway.rows import rows

T = TypeVar("T")

# How much earlier than its time an entry may be forgotten.
_SPREAD = 0.1


class Entry(NamedTuple):
    """What one model said about one document."""

    raw: float
    """The very number that it gave."""
    scale: Scale
    truncated: bool
    """The model saw only a part of the document."""
    stored_at: float
    """When it was asked, in event-loop seconds."""
    ttl_s: float
    """How long after that it may be remembered."""

    @property
    def until(self) -> float:
        """When its time is over."""
        return self.stored_at + self.ttl_s


class Judge(NamedTuple):
    """Who gave a score: numbers of two are not comparable."""

    model: str
    revision: str


class Memory(Protocol):
    """Where scores are remembered. It never fails: what it cannot tell, it does not know."""

    async def judge(self, name: bytes) -> Judge | None:
        """Tell who judged last under this name; None: nobody has yet."""

    async def get(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Give what is known and not past its time, one per key."""

    async def put(
        self, entries: Mapping[bytes, Entry], *, name: bytes, judge: Judge
    ) -> None:
        """Remember scores by their keys, and by its name who gave them."""


def soon_forgotten_s(ttl_s: float, chance: Random) -> float:
    """Shorten a time by up to a tenth: answers that came together do not leave together.

    Never lengthen it, since a caller is promised nothing older.
    """
    return ttl_s * (1.0 - _SPREAD * chance.random())


def entries_of(
    keys: Sequence[bytes], scores: Scores, *, now: float, ttl_s: float
) -> dict[bytes, Entry]:
    """Give what is to be remembered of an answer.

    Args:
        keys: One per document.
        scores: The answer; a document without a score is left out.
        now: When it came, in event-loop seconds.
        ttl_s: How long it may be remembered.

    """
    # What another tier remembered does not become younger by being told.
    told_at = now - scores.oldest_s
    entries = rows(
        Entry,
        scores.raw,
        repeat(scores.scale),
        _each(scores.truncated, len(keys), those=True, others=False),
        _each(scores.cached, len(keys), those=told_at, others=now),
        repeat(ttl_s),
    )
    named = dict(zip(keys, entries, strict=True))
    if None in scores.raw:
        return {key: each for key, each in named.items() if each.raw is not None}
    return named


def _each(places: frozenset[int], count: int, *, those: T, others: T) -> Iterable[T]:
    """Say one thing of some places and another of all others."""
    if not places:
        return repeat(others, count)
    return [those if place in places else others for place in range(count)]
