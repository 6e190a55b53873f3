"""Tell truthfully what happened: scores, or an error, become an answer."""

from collections.abc import Sequence

from gateway.backends.errors import Attempt, BackendError, FailureReason
from gateway.backends.scorer import Scores
from gateway.contract import (
    Execution,
    Outcome,
    Rerank,
    Reranked,
    Stage,
    StageOutcome,
)
from gateway.ranking import answer, method
from gateway.ranking.answer import Placed
from gateway.ranking.normalize import Scale


def scored(
    ask: Rerank,
    scores: Scores,
    indexes: Sequence[int],
    *,
    min_score: float | None,
    duration_s: float,
) -> Reranked:
    """Tell of an answer that a model gave.

    Args:
        ask: What was asked.
        scores: What the model said about the candidates.
        indexes: The place in the request of each candidate.
        min_score: The threshold that is in force; a relative scale has none.
        duration_s: How long all of it took.

    """
    raw: list[float | None] = list(scores.raw)
    if len(raw) != len(ask.documents):
        raw = [None] * len(ask.documents)
        for index, number in zip(indexes, scores.raw, strict=True):
            raw[index] = number
    scored_count = len(raw) - raw.count(None)
    placed = answer.order(raw, scores.scale)
    min_score_applied = min_score is not None and scores.scale is not Scale.RELATIVE
    if min_score is not None and min_score_applied:
        placed = answer.at_least(placed, min_score)
    # Calls that its own backend failed and then cured, by splitting or shortening,
    # degrade nothing.
    failed = _of_others(scores.attempts, scores.backend)
    degraded = bool(failed) or not scores.complete
    if not scores.complete:  # here its own failures were not cured
        failed = [each for each in scores.attempts if each.failure]
    search_method = method.reranked(ask.found_by)
    stage = Stage(
        name="rerank",
        outcome=StageOutcome.DEGRADED if degraded else StageOutcome.OK,
        reason=failed[-1].failure if failed else None,
        duration_s=duration_s,
    )
    execution = Execution(
        outcome=Outcome.RERANKED if scores.complete else Outcome.PARTIALLY_RERANKED,
        route=ask.route,
        backend=scores.backend,
        model=scores.model,
        attempts=scores.attempts,
        stages=(stage,),
        scored_count=scored_count,
        cached_count=len(scores.cached),
        oldest_s=scores.oldest_s,
        unscored_indexes=(
            tuple(i for i, number in enumerate(raw) if number is None)
            if scored_count < len(raw)
            else ()
        ),
        truncated_indexes=tuple(indexes[place] for place in sorted(scores.truncated)),
        min_score_applied=min_score_applied,
        scale=scores.scale,
        usage=scores.usage,
        duration_s=duration_s,
    )
    return Reranked(
        results=_cut(ask, placed),
        search_method=search_method,
        tail_method=ask.found_by,
        message=with_failures(search_method, method.in_words(search_method), execution),
        fallback_triggered=degraded,
        execution=execution,
        again=scores.again if not scores.attempts else None,
    )


def fell_back(ask: Rerank, error: BackendError, duration_s: float) -> Reranked:
    """Tell of the order received, which stands because no backend scored."""
    stage = Stage(
        name="rerank",
        outcome=StageOutcome.FAILED,
        reason=error.reason,
        duration_s=duration_s,
        detail="" if error.attempts else str(error),
    )
    return _order_received(
        ask, Outcome.FELL_BACK, stage, reason=error.reason, attempts=error.attempts
    )


def nothing_to_score(ask: Rerank, duration_s: float) -> Reranked:
    """Tell of the order received, which stands because no document has a text."""
    stage = Stage(name="rerank", outcome=StageOutcome.SKIPPED, duration_s=duration_s)
    return _order_received(ask, Outcome.NOTHING_TO_SCORE, stage)


def with_failures(search_method: str, words: str, execution: Execution) -> str:
    """Add to the description of an answer what failed on the way to it.

    Args:
        search_method: Of the answer.
        words: The same in words.
        execution: What became of the rerank.

    """
    if execution.outcome is Outcome.FELL_BACK:
        failures = _in_words(execution.attempts)
        # Where nobody was to be asked at all, the stage says why.
        failures = failures or [each.detail for each in execution.stages if each.detail]
        return method.fell_back_in_words(search_method, failures)
    if failed := _of_others(execution.attempts, execution.backend):
        return f"{words} ({execution.backend}, after {'; '.join(_in_words(failed))})"
    return words


def _order_received(
    ask: Rerank,
    outcome: Outcome,
    stage: Stage,
    *,
    reason: FailureReason | None = None,
    attempts: tuple[Attempt, ...] = (),
) -> Reranked:
    count = len(ask.documents)
    execution = Execution(
        outcome=outcome,
        route=ask.route,
        fallback_reason=reason,
        attempts=attempts,
        stages=(stage,),
        unscored_indexes=tuple(range(count)),
        duration_s=stage.duration_s,
    )
    return Reranked(
        results=_cut(ask, answer.order([None] * count, None)),
        search_method=ask.found_by,
        tail_method=ask.found_by,
        message=with_failures(ask.found_by, method.in_words(ask.found_by), execution),
        fallback_triggered=outcome is Outcome.FELL_BACK,
        execution=execution,
    )


def _cut(ask: Rerank, placed: list[Placed]) -> tuple[Placed, ...]:
    if ask.max_per_group:
        groups = [document.group_id for document in ask.documents]
        placed = answer.at_most_per_group(placed, groups, ask.max_per_group)
    return tuple(placed[: ask.top_n] if ask.top_n else placed)


def _of_others(attempts: Sequence[Attempt], backend: str) -> list[Attempt]:
    return [each for each in attempts if each.failure and each.backend != backend]


def _in_words(attempts: Sequence[Attempt]) -> list[str]:
    """Name the last failure of each backend, in the order in which they were asked."""
    last = {attempt.backend: attempt for attempt in attempts if attempt.failure}
    return [
        f"{backend}: {attempt.failure} after {attempt.duration_s:.2f} s"
        for backend, attempt in last.items()
    ]
