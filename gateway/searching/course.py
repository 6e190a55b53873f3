"""One search on its way: the order so far, what placed each document, and the answer.

Nothing here waits for anything; `gateway.searching` does.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from gateway.contract import Execution, Outcome, Reranked, Stage, StageOutcome
from gateway.ranking import method
from gateway.retrieval.errors import RetrieverError
from gateway.retrieval.retriever import Document as StoredDocument
from gateway.searching.contract import (
    Mmr,
    MmrStage,
    Search,
)
from gateway.searching.finding import Candidates

if TYPE_CHECKING:
    from gateway.ranking.diversity import Diversified, Marginal
    from gateway.retrieval.retriever import Vector

_SCORED = {Outcome.RERANKED, Outcome.PARTIALLY_RERANKED}

Vectors: TypeAlias = "Mapping[str, Vector] | RetrieverError"
"""By id, for MMR; or why there are none."""


@dataclass(frozen=True, slots=True)
class Score:
    """What a model said about one document."""

    raw: float
    normalized: float
    """On 0..1."""


@dataclass(slots=True)
class Course:
    """What was done for one search until now.

    Places are those among the documents found, from 0, as `Result.index`.
    """

    ask: Search
    found: Candidates
    began: float
    """In event-loop seconds."""
    wants_rerank: bool
    order: list[int] = field(init=False)
    stages: list[Stage] = field(init=False)
    documents: dict[str, StoredDocument] = field(default_factory=dict)
    """Brought from the collection so far, by id."""
    marginals: "dict[int, Marginal]" = field(default_factory=dict)
    """Of those that MMR chose, in the order of its choice."""
    mmr_after: bool = False
    """Whether MMR came after the rerank."""
    scores: dict[int, Score] = field(default_factory=dict)
    asked: Sequence[int] = ()
    """The places that were put to the rerank, in that order."""
    reranked: Execution | None = None
    """What became of the rerank; None: there was none (yet)."""
    _gone: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Begin with what was found, in its order."""
        self.order = list(range(len(self.found.documents)))
        self.stages = list(self.found.stages)

    @property
    def mmr_first(self) -> Mmr | None:
        """MMR, if it comes before the rerank, or alone."""
        mmr = self.ask.mmr
        if mmr and (mmr.stage is MmrStage.BEFORE_RERANK or not self.wants_rerank):
            return mmr
        return None

    @property
    def method(self) -> str:
        """Which stages succeeded until now."""
        name = self.found.base
        if self.marginals and not self.mmr_after:
            name += "+mmr"
        if self.reranked and self.reranked.outcome in _SCORED:
            name = method.reranked(name)
        if self.marginals and self.mmr_after:
            name += "+mmr"
        return name

    def id_of(self, place: int) -> str:
        """Name the document at a place."""
        return self.found.documents[place].id

    def to_score(self, depth: int) -> list[int]:
        """Give the places of those that are to be scored, at most `depth`."""
        # Only what MMR chose: a rerank of everything would undo it without a trace.
        order = [*self.marginals] if self.marginals else self.order
        return order[:depth]

    @property
    def scored(self) -> list[int]:
        """Give the places of those that a model scored, in the order so far."""
        return [place for place in self.order if place in self.scores]

    def needs(self, places: Sequence[int]) -> list[str]:
        """Name the documents that must still be brought for these and for the answer."""
        needed = [*places, *self.page(self.order)]
        if self.ask.max_per_group:
            needed += self.order  # their groups decide what is in the answer
        known = self.documents.keys() | self._gone
        return [
            name for name in dict.fromkeys(map(self.id_of, needed)) if name not in known
        ]

    def bring(self, wanted: Sequence[str], brought: Sequence[StoredDocument]) -> None:
        """Take documents; those that were deleted since they were found are dropped."""
        self.documents |= {each.id: each for each in brought}
        self._gone |= {each for each in wanted if each not in self.documents}
        self.order = [
            place for place in self.order if self.id_of(place) not in self._gone
        ]
        for place in [*self.marginals]:
            if self.id_of(place) in self._gone:
                del self.marginals[place]

    def diversify(self, mmr: Mmr, vectors: Vectors, *, duration_s: float) -> None:
        """Let MMR choose from all, by what retrieval gave them."""
        relevance = [self.found.documents[place].score for place in self.order]
        self._diversify(mmr, self.order, relevance, vectors, duration_s=duration_s)

    def diversify_scored(
        self, mmr: Mmr, vectors: Vectors, *, duration_s: float
    ) -> None:
        """Let MMR choose from those that were scored, by their scores."""
        self.mmr_after = True
        scored = self.scored
        relevance = [self.scores[place].raw for place in scored]
        self._diversify(mmr, scored, relevance, vectors, duration_s=duration_s)

    def rerank(self, places: Sequence[int], reranked: Reranked) -> None:
        """Take what the rerank of these places gave."""
        self.asked = places
        self.reranked = reranked.execution
        self.stages += reranked.execution.stages
        self.scores = {
            places[each.index]: Score(each.raw_score, each.rerank_score)
            for each in reranked.results
            if each.raw_score is not None and each.rerank_score is not None
        }
        placed = [places[each.index] for each in reranked.results]
        # Where there is a threshold, what nobody scored does not reach it.
        self._take(placed, drop_others=reranked.execution.min_score_applied)

    def _diversify(
        self,
        mmr: Mmr,
        places: list[int],
        relevance: list[float],
        vectors: Vectors,
        *,
        duration_s: float,
    ) -> None:
        outcome, detail = StageOutcome.OK, ""
        if isinstance(vectors, RetrieverError):
            outcome, detail = StageOutcome.FAILED, str(vectors)
        elif not vectors or not places:
            outcome = StageOutcome.SKIPPED
            detail = "there are no vectors" if places else "there are no documents"
        else:
            chosen = _mmr(
                relevance,
                [vectors.get(self.id_of(place)) for place in places],
                mmr,
                pool=mmr.pool or self.ask.limit + self.ask.offset,
            )
            self.marginals = {
                places[each.index]: each.marginal
                for each in chosen
                if each.marginal is not None
            }
            self._take([places[each.index] for each in chosen], drop_others=False)
        self.stages.append(
            Stage(name="mmr", outcome=outcome, duration_s=duration_s, detail=detail)
        )

    def _take(self, first: list[int], *, drop_others: bool) -> None:
        taken = set(first)
        others = [place for place in self.order if place not in taken]
        self.order = first if drop_others else first + others

    def grouped(self) -> list[int]:
        """Give the order without what is too much of its group."""
        most = self.ask.max_per_group
        if not most:
            return self.order
        taken: Counter[str] = Counter()
        kept = []
        for place in self.order:
            group = self.documents[self.id_of(place)].group_id
            taken[group] += 1
            if not group or taken[group] <= most:
                kept.append(place)
        return kept

    def page(self, order: Sequence[int]) -> Sequence[int]:
        """Cut out what the caller wants to see of an order."""
        return order[self.ask.offset : self.ask.offset + self.ask.limit]


def _mmr(
    relevance: Sequence[float],
    vectors: "Sequence[Vector | None]",
    mmr: Mmr,
    *,
    pool: int,
) -> "list[Diversified]":
    # The base install has no numpy, and only Search needs it.
    from gateway.ranking.diversity import mmr as choose

    return choose(relevance, vectors, relevance_weight=mmr.relevance_weight, pool=pool)
