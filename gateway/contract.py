"""What a caller asks for and gets, as plain values: the contract without protobuf."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from gateway.backends.errors import Attempt, FailureReason
from gateway.backends.scorer import CacheWish, Lookup, Usage
from gateway.ranking import method
from gateway.ranking.answer import Placed
from gateway.ranking.normalize import Scale


class Outcome(StrEnum):
    """What became of the reranking."""

    RERANKED = "RERANKED"
    PARTIALLY_RERANKED = "PARTIALLY_RERANKED"
    FELL_BACK = "FELL_BACK"
    NOT_REQUESTED = "NOT_REQUESTED"
    NOTHING_TO_SCORE = "NOTHING_TO_SCORE"
    PENDING = "PENDING"


class StageOutcome(StrEnum):
    """How one stage ended."""

    OK = "OK"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the way from a query to an answer."""

    name: str
    outcome: StageOutcome
    duration_s: float
    reason: FailureReason | None = None
    detail: str = ""
    """One sentence for people, where there is more to say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What happened, as opposed to what was configured."""

    outcome: Outcome
    route: str
    duration_s: float
    fallback_reason: FailureReason | None = None
    """Why the last backend that was asked failed; None where one answered."""
    backend: str = ""
    """Who scored; empty: nobody."""
    model: str = ""
    attempts: tuple[Attempt, ...] = ()
    stages: tuple[Stage, ...] = ()
    scored_count: int = 0
    cached_count: int = 0
    oldest_s: float = 0.0
    """How long ago the first of the remembered scores was given; 0: none is."""
    unscored_indexes: tuple[int, ...] = ()
    truncated_indexes: tuple[int, ...] = ()
    min_score_applied: bool = False
    scale: Scale | None = None
    """Of the model's numbers; None: nobody scored."""
    usage: Usage = field(default_factory=Usage)


DEFAULT_ROUTE = "default"


class Document(NamedTuple):
    """A document as the caller brought it.

    A tuple: there are a hundred in a call, and one is made in a third of the time.
    """

    id: str = ""
    title: str = ""
    text: str = ""
    group_id: str = ""
    embedding: tuple[float, ...] | None = None

    @property
    def read_by_model(self) -> str:
        """What a model reads of it."""
        return f"{self.title}\n{self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerank:
    """What a caller asks for, already checked."""

    query: str
    documents: tuple[Document, ...]
    query_embedding: tuple[float, ...] | None = None
    route: str = DEFAULT_ROUTE
    top_k: int | None = None
    """Documents to score; None: the route's, else the backend's default."""
    top_n: int = 0
    """Documents to return; 0: all."""
    min_score: float | None = None
    max_per_group: int = 0
    """0: no bound."""
    timeout_s: float | None = None
    """How long scoring may take; None: as long as the route says."""
    deadline: float | None = None
    """When the caller stops waiting, in event-loop seconds; None: never."""
    until: float = math.inf
    """When scores must be there at the latest, in event-loop seconds, whatever else allows
    more: this may be a part of a longer call, whose time is not only for it."""
    found_by: str = method.INPUT_ORDER
    """One of `method.RETRIEVED`."""
    instruction: str = ""
    keep_order: bool = True
    """Answer with the order received when no backend scores; else raise."""
    cache: CacheWish = field(default_factory=CacheWish)
    lookup: Lookup | None = None
    """What the documents' collection says about them; None: the caller brought them."""
    space: str = ""
    """Whose vectors that collection has."""
    caller: str = ""
    """Who asks, for a fair share of what is scarce; empty: unknown, one of all."""
    labels: tuple[tuple[str, str], ...] = ()
    """What is written down beside what it costs, in the order of their names."""


@dataclass(frozen=True, slots=True)
class Reranked:
    """The answer."""

    results: tuple[Placed, ...]
    search_method: str
    """Which stages succeeded."""
    tail_method: str
    """The method of those results that nobody scored."""
    message: str
    fallback_triggered: bool
    execution: Execution
    again: Callable[[], bool] | None = field(default=None, compare=False, repr=False)
    """Tells whether the same question would get this very answer once more, without
    anybody being asked; None: it would not."""
