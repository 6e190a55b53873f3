"""The waist of the gateway: a query and documents go in, one number per document comes out.

Layers, combinators and leaves all are a `Scorer`. Sorting, thresholds, `top_n` and
normalisation are not here: they are functions of the numbers (`gateway.ranking`).
"""

import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from gateway.backends.errors import Attempt
from gateway.ranking.normalize import Scale


class Candidate(NamedTuple):
    """A document before it is ranked.

    A tuple: there are a hundred in a call, and one is made in a third of the time.
    """

    text: str
    """What the model reads; never blank."""
    rank: int
    """Place in the order received, from 1."""
    embedding: tuple[float, ...] | None = None
    """The document's vector, in the space of `ScoreRequest.query_embedding`."""


class CacheMode(StrEnum):
    """How the memory of scores takes part in a call."""

    DEFAULT = "DEFAULT"
    """Remembered scores are used, new ones are remembered."""
    BYPASS = "BYPASS"
    """Neither read nor written."""
    REFRESH = "REFRESH"
    """Not read; new scores replace what is remembered."""


@dataclass(frozen=True, slots=True)
class CacheWish:
    """What a caller wants of the memory of scores."""

    mode: CacheMode = CacheMode.DEFAULT
    ttl_s: float | None = None
    """Use only what is younger; None: what the configuration allows."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a collection says about a document that was found in it."""

    bm25: float
    """With the statistics of the whole collection; 0 or more."""
    cosine: float
    """Of the stored vector and the query's; -1 to 1."""


Lookup = Callable[[Sequence[int]], Awaitable[Sequence[Evidence | None]]]
"""From ranks received to what the collection says of the documents; None: nothing (any
more). Raises nothing: a collection that cannot be asked says nothing."""


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """What one scorer is asked."""

    query: str
    documents: tuple[Candidate, ...]
    """At least one."""
    deadline: float
    """When the answer must be there at the latest, in event-loop seconds."""
    query_embedding: tuple[float, ...] | None = None
    instruction: str = ""
    """How to judge, in words; models that take none ignore it."""
    depth: int | None = None
    """Put only so many documents, from the first, to a model; None: as many as the
    backend that answers takes by default."""
    lookup: Lookup | None = None
    """Asks the collection that the documents were found in; None: a caller brought
    them, or there is no vector of the query to compare with."""
    space: str = ""
    """Whose vectors the collection has; empty: its callers bring them."""
    cache: CacheWish = field(default_factory=CacheWish)
    scope: str = ""
    """Whose memory of scores takes part; empty: everybody's."""
    caller: str = ""
    """Who asks, for a fair share of what is scarce; empty: unknown, one of all."""
    takes_partial: bool = False
    """Scores of a contiguous beginning of the documents are better than none, where the
    time is over before the rest is there."""
    passages: int = 0
    """Score a long document by its best passage, of at most so many; 0: as a whole, by
    what the model reads of it."""
    asked: set[str] | None = field(default=None, compare=False)
    """The replicas that attempts of this request have gone to. Whoever makes several
    gives them one set; who chooses a replica adds it, and prefers another one. Not part
    of what is asked. None: there is only one attempt."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a vendor says that the answer cost."""

    search_units: float = 0.0
    tokens: int = 0
    passages: int = 0
    """Parts of split documents that were judged; ours, not the vendor's."""

    def __add__(self, other: "Usage") -> "Usage":
        """Add up two costs."""
        return Usage(
            self.search_units + other.search_units,
            self.tokens + other.tokens,
            self.passages + other.passages,
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """What one model said about every document of a request.

    Raises:
        ValueError: A raw number is not finite.

    """

    raw: tuple[float | None, ...]
    """One entry per document, in the order of the request; None: not scored."""
    scale: Scale
    backend: str
    """The configured name of the backend that judged every one of them."""
    model: str
    """The model as the backend reports it, else as configured, else empty."""
    beyond: int = 0
    """How many documents at the end were deliberately not put to the model."""
    truncated: frozenset[int] = frozenset()
    """Places (from 0) of the documents of which the model saw only a part."""
    usage: Usage = Usage()
    revision: str = ""
    """Of the model, where the backend tells it: scores of two are not comparable."""
    cached: frozenset[int] = frozenset()
    """Places (from 0) of the documents whose scores came from memory."""
    oldest_s: float = 0.0
    """How long ago the first of those was given; 0: none came from memory."""
    again: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
    """Tells whether the same request would get these very scores once more, all of them
    from memory; None: it would not, or nobody knows without asking."""
    attempts: tuple[Attempt, ...] = ()
    """Every call made for these scores, failed ones included, in the order of their end."""

    def __post_init__(self) -> None:
        """Refuse numbers that cannot be ordered."""
        # As seldom as can be: a layer that has nothing to add makes no new one.
        numbers = [number for number in self.raw if number is not None]
        if not all(map(math.isfinite, numbers)):
            message = f"{self.backend}: a score is not finite"
            raise ValueError(message)

    @property
    def complete(self) -> bool:
        """Whether the model scored every document that was put to it."""
        return None not in self.raw[: len(self.raw) - self.beyond]

    def with_attempts(self, *attempts: Attempt) -> "Scores":
        """Give the same scores with further calls that were made for them."""
        return replace(self, attempts=(*self.attempts, *attempts))

    def after(self, attempts: tuple[Attempt, ...]) -> "Scores":
        """Give the same scores with calls that came before those made for them."""
        return replace(self, attempts=attempts + self.attempts) if attempts else self


class Scorer(Protocol):
    """Anything that can judge documents against a query."""

    async def score(self, request: ScoreRequest) -> Scores:
        """Judge every document of the request.

        Raises:
            BackendError: No scores, and why. Nothing else leaves a scorer, except
                cancellation.

        """
