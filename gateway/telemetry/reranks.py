"""One rerank, whatever became of it, as a span and as numbers."""

import math
import time
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

from opentelemetry.util.types import AttributeValue

from gateway.contract import Execution, Outcome, Rerank, Reranked
from gateway.errors import RerankFailed
from gateway.observing import Count
from gateway.ranking import method
from gateway.ranking.normalize import Scale
from gateway.telemetry import calls, semconv
from gateway.telemetry.calls import Asking
from gateway.telemetry.content import Content
from gateway.telemetry.instruments import CacheResult, Instruments, RerankEnd
from gateway.telemetry.rank_change import COMPARED, displacement
from gateway.telemetry.results import add_document, name, paths
from gateway.telemetry.spans import Open, Spans

_NAME = "rerank"
_NOBODY = "none"

# What a caller reads as how likely a document is to be relevant.
_PROBABILITIES = {Scale.PROBABILITY, Scale.LOGIT}


class RerankWatch:
    """Watches one rerank.

    Args:
        spans: Opens its span.
        instruments: Counts it.
        content: What may be shown.
        ask: What is asked.
        budget_s: How long it may take.
        call: What it is done for; None: nobody knows.

    """

    __slots__ = (
        "_ask",
        "_before",
        "_began",
        "_budget_s",
        "_call",
        "_content",
        "_instruments",
        "_open",
        "_reranked",
        "_spans",
        "attempts",
        "coalesced",
        "remembered",
    )

    def __init__(
        self,
        spans: Spans,
        instruments: Instruments,
        content: Content,
        *,
        ask: Rerank,
        budget_s: float,
        call: Asking | None,
    ) -> None:
        self._call = call
        self._before: RerankWatch | None
        # The loop's clock is too coarse for what comes from memory.
        self._began: float
        self._spans = spans
        self._instruments = instruments
        self._content = content
        self._ask = ask
        self._budget_s = budget_s
        self._reranked: Reranked | None = None
        self._open: Open
        self.attempts = 0
        """Calls to backends that began."""
        self.coalesced = False
        """It waited for a call that another one had begun."""
        self.remembered = False
        """A memory of scores was looked into."""

    @property
    def open(self) -> Open:
        """Its span."""
        return self._open

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.perf_counter()
        ask = self._ask
        self._before = current.get()
        current.set(self)
        if self._call and not self._call.requested:
            self._call.requested = method.reranked(ask.found_by)
        asked: dict[str, AttributeValue] = {
            semconv.SPAN_KIND: semconv.RERANKER,
            semconv.CANDIDATES: len(ask.documents),
            semconv.BUDGET: self._budget_s,
        }
        if ask.top_k is not None:
            asked[semconv.TOP_K] = ask.top_k
        if self._content.texts:
            asked[semconv.QUERY] = ask.query[: semconv.LONGEST_TEXT]
        self._open = self._spans.inner(_NAME, asked)
        return self

    def __call__(self, reranked: Reranked) -> None:
        """Learn what became of it."""
        self._reranked = reranked

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End."""
        current.set(self._before)
        reranked = self._reranked
        execution = reranked.execution if reranked else None
        if isinstance(error, RerankFailed):
            execution = error.execution
        if execution is None:  # it was given up
            self._open.close(semconv.error_type(error))
            return
        cache_result = _cache_result(execution, self.coalesced, self.remembered)
        if self._call:
            self._call.cache_result = cache_result
        change = _Change.of(reranked)
        self._count(execution, cache_result, change)
        if self._open.span is not None:
            # Together: each time that something is said costs as much as what is said.
            said = self._facts(execution, cache_result, change)
            if reranked:
                said[semconv.SEARCH_METHOD] = reranked.search_method
                self._add_documents(said, reranked)
            self._open.say(said)
        error_type = ""
        if execution.outcome is Outcome.FELL_BACK:
            error_type = (execution.fallback_reason or semconv.OTHER).lower()
        self._open.close(error_type)

    def _count(
        self, execution: Execution, cache_result: CacheResult, change: "_Change"
    ) -> None:
        self._instruments.stage_ended(
            _NAME,
            time.perf_counter() - self._began,
            trace_id=self._open.recorded_as,
        )
        self._instruments.rerank_ended(
            _end(self._ask, execution, cache_result, change, self._budget_s)
        )

    def _facts(
        self, execution: Execution, cache_result: CacheResult, change: "_Change"
    ) -> dict[str, AttributeValue]:
        usage = execution.usage
        said: dict[str, AttributeValue | None] = {
            semconv.OUTCOME: execution.outcome.lower(),
            semconv.SEARCH_METHOD: self._ask.found_by,
            semconv.FALLBACK_REASON: (
                execution.fallback_reason and execution.fallback_reason.lower()
            ),
            semconv.CACHE_RESULT: cache_result,
            semconv.CACHE_AGE: execution.oldest_s or None,
            semconv.ATTEMPTS: len(execution.attempts),
            semconv.SCORED: execution.scored_count,
            semconv.BACKEND: execution.backend or None,
            semconv.MODEL: execution.model or None,
            semconv.SCALE: execution.scale and execution.scale.lower(),
            semconv.TOP1_CHANGED: change.top1_changed,
            semconv.DISPLACEMENT: change.displacement,
            semconv.SEARCH_UNITS: usage.search_units or None,
            semconv.TOKENS: usage.tokens or None,
            semconv.LABELS: [f"{name}={value}" for name, value in self._ask.labels]
            or None,
        }
        return {key: value for key, value in said.items() if value is not None}

    def _add_documents(
        self, said: dict[str, AttributeValue], reranked: Reranked
    ) -> None:
        for place, placed in enumerate(reranked.results[: semconv.MOST_DOCUMENTS]):
            document = self._ask.documents[placed.index]
            scored = placed.rerank_score is not None
            add_document(
                said,
                _DOCUMENTS[place],
                name=name(document.id, placed.index) if self._content.ids else "",
                score=placed.rerank_score,
                metadata={
                    "search_method": (
                        reranked.search_method if scored else reranked.tail_method
                    ),
                    "rank": placed.rank,
                    "rank_before": placed.index + 1,
                },
                text=document.read_by_model if self._content.texts else "",
            )


def repeated(ask: Rerank, reranked: Reranked, instruments: Instruments) -> Count:
    """Give what counts the same rerank again, all of it from memory.

    Args:
        ask: What was asked.
        reranked: The answer.
        instruments: Count it.

    """
    end = _end(ask, reranked.execution, "hit", _Change.of(reranked), math.inf)

    def count(duration_s: float, budget_s: float) -> None:
        if call := calls.current.get():
            call.cache_result = end.cache_result
        instruments.stage_ended(_NAME, duration_s)
        instruments.rerank_ended(replace(end, budget_s=budget_s))

    return count


def _end(
    ask: Rerank,
    execution: Execution,
    cache_result: CacheResult,
    change: "_Change",
    budget_s: float,
) -> RerankEnd:
    fell_back = execution.outcome is Outcome.FELL_BACK
    attempts = execution.attempts
    return RerankEnd(
        cache_result=cache_result,
        candidate_count=len(ask.documents),
        budget_s=budget_s,
        fallback_reason=execution.fallback_reason if fell_back else None,
        failed_backend=attempts[0].backend if attempts else _NOBODY,
        backend=execution.backend,
        model=execution.model,
        best_score=change.best_score if execution.scale in _PROBABILITIES else None,
        displacement=change.displacement,
        top1_changed=change.top1_changed,
        search_units=execution.usage.search_units,
        tokens=execution.usage.tokens,
    )


@dataclass(frozen=True, slots=True)
class _Change:
    """What the rerank did to the first results."""

    best_score: float | None
    displacement: float | None
    top1_changed: bool | None

    @staticmethod
    def of(reranked: Reranked | None) -> "_Change":
        """Compare; nothing to compare where nobody scored."""
        scored = [
            each
            for each in (reranked.results[:COMPARED] if reranked else ())
            if each.rerank_score is not None
        ]
        if not scored:
            return _UNCHANGED
        return _Change(
            scored[0].rerank_score,
            displacement([each.index for each in scored]),
            scored[0].index != 0,
        )


_UNCHANGED = _Change(None, None, None)
_DOCUMENTS = paths(semconv.RERANKED)

current: ContextVar[RerankWatch | None] = ContextVar("rerank", default=None)
"""The rerank that is done here."""


def _cache_result(
    execution: Execution,
    coalesced: bool,  # noqa: FBT001 - called once
    remembered: bool,  # noqa: FBT001 - called once
) -> CacheResult:
    """Say how the memory of scores took part in an answer."""
    if coalesced:
        return "coalesced"
    if not remembered:
        return "bypass"
    if not execution.cached_count:
        return "miss"
    return "hit" if execution.cached_count == execution.scored_count else "partial"
