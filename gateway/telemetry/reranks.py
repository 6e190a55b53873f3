"""One rerank, whatever became of it, as a span and as numbers."""

import time
from contextvars import ContextVar
from types import TracebackType
from typing import Self

from gateway.backends.scorer import CacheMode
from gateway.contract import Execution, Outcome, Rerank, Reranked
from gateway.errors import RerankFailed
from gateway.ranking import method
from gateway.ranking.answer import Placed
from gateway.ranking.normalize import Scale
from gateway.telemetry import semconv
from gateway.telemetry.calls import CallWatch
from gateway.telemetry.content import Content
from gateway.telemetry.instruments import CacheResult, Instruments, RerankEnd
from gateway.telemetry.rank_change import COMPARED, displacement
from gateway.telemetry.results import Document, documents, name
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
        call: The RPC that it is a part of; None: of none.

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
    )

    def __init__(
        self,
        spans: Spans,
        instruments: Instruments,
        content: Content,
        *,
        ask: Rerank,
        budget_s: float,
        call: CallWatch | None,
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
        self._open = self._spans.inner(
            _NAME,
            {
                semconv.SPAN_KIND: semconv.RERANKER,
                semconv.GENAI_OPERATION: semconv.RERANK,
                semconv.ROUTE: ask.route,
                semconv.CANDIDATES: len(ask.documents),
                semconv.BUDGET: self._budget_s,
            },
        )
        if self._open.span is not None:
            if ask.top_k is not None:
                self._open.say({semconv.TOP_K: ask.top_k})
            if self._content.texts:
                self._open.say({semconv.QUERY: ask.query[: semconv.LONGEST_TEXT]})
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
        cache_result = _cache_result(self._ask, execution, coalesced=self.coalesced)
        if self._call:
            self._call.cache_result = cache_result
        self._count(reranked, execution, cache_result)
        error_type = ""
        if execution.outcome is Outcome.FELL_BACK:
            error_type = (execution.fallback_reason or semconv.OTHER).lower()
        if self._open.span is not None:
            self._say(reranked, execution, cache_result)
        self._open.close(error_type)

    def _count(
        self, reranked: Reranked | None, execution: Execution, cache_result: CacheResult
    ) -> None:
        fell_back = execution.outcome is Outcome.FELL_BACK
        attempts = execution.attempts
        scored = _scored(reranked) if reranked else []
        is_probability = execution.scale in _PROBABILITIES
        self._instruments.stage_ended(
            _NAME,
            time.perf_counter() - self._began,
            trace_id=self._open.recorded_as,
        )
        self._instruments.rerank_ended(
            RerankEnd(
                cache_result=cache_result,
                candidate_count=len(self._ask.documents),
                budget_s=self._budget_s,
                fallback_reason=execution.fallback_reason if fell_back else None,
                failed_backend=attempts[0].backend if attempts else _NOBODY,
                backend=execution.backend,
                model=execution.model,
                best_score=scored[0].rerank_score
                if scored and is_probability
                else None,
                displacement=displacement([each.index for each in scored]),
                top1_changed=scored[0].index != 0 if scored else None,
                search_units=execution.usage.search_units,
                tokens=execution.usage.tokens,
            )
        )

    def _say(
        self, reranked: Reranked | None, execution: Execution, cache_result: CacheResult
    ) -> None:
        self._open.say(
            {
                semconv.OUTCOME: execution.outcome.lower(),
                semconv.CACHE_RESULT: cache_result,
                semconv.ATTEMPTS: len(execution.attempts),
                semconv.SCORED: execution.scored_count,
                semconv.CACHED: execution.cached_count,
                semconv.TRUNCATED: len(execution.truncated_indexes),
                semconv.SEARCH_METHOD: (
                    reranked.search_method if reranked else self._ask.found_by
                ),
            }
        )
        if execution.backend:
            self._open.say({semconv.BACKEND: execution.backend})
        if execution.model:
            self._open.say(
                {
                    semconv.MODEL: execution.model,
                    semconv.GENAI_MODEL: execution.model,
                }
            )
        if execution.cached_count:
            self._open.say({semconv.CACHE_AGE: execution.oldest_s})
        if execution.scale:
            self._open.say({semconv.SCALE: execution.scale.lower()})
        if execution.fallback_reason:
            self._open.say({semconv.FALLBACK_REASON: execution.fallback_reason.lower()})
        usage = execution.usage
        if usage.search_units:
            self._open.say({semconv.SEARCH_UNITS: usage.search_units})
        if usage.tokens:
            self._open.say({semconv.TOKENS: usage.tokens})
        if reranked:
            self._say_results(reranked)

    def _say_results(self, reranked: Reranked) -> None:
        scored = _scored(reranked)
        if scored:
            self._open.say({semconv.TOP1_CHANGED: scored[0].index != 0})
            distance = displacement([each.index for each in scored])
            if distance is not None:
                self._open.say({semconv.DISPLACEMENT: distance})
        first = reranked.results[: semconv.MOST_DOCUMENTS]
        self._open.say(
            documents(
                semconv.RERANKED, [self._document(each, reranked) for each in first]
            )
        )

    def _document(self, placed: Placed, reranked: Reranked) -> Document:
        document = self._ask.documents[placed.index]
        scored = placed.rerank_score is not None
        found_by = reranked.search_method if scored else reranked.tail_method
        return Document(
            name(document.id, placed.index) if self._content.ids else "",
            placed.rerank_score,
            {
                "search_method": found_by,
                "rank": placed.rank,
                "rank_before": placed.index + 1,
            },
            document.read_by_model if self._content.texts else "",
        )


current: ContextVar[RerankWatch | None] = ContextVar("rerank", default=None)
"""The rerank that is done here."""


def _scored(reranked: Reranked) -> list[Placed]:
    """Give those of the first results that a model scored."""
    return [
        each for each in reranked.results[:COMPARED] if each.rerank_score is not None
    ]


def _cache_result(ask: Rerank, execution: Execution, *, coalesced: bool) -> CacheResult:
    """Say how the memory of scores took part in an answer."""
    if ask.cache.mode is CacheMode.BYPASS or ask.lookup is not None:
        return "bypass"
    if coalesced:
        return "coalesced"
    if not execution.cached_count:
        return "miss"
    return "hit" if execution.cached_count == execution.scored_count else "partial"
