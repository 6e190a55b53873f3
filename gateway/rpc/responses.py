"""From plain values to a `RerankResponse`."""

from google.protobuf.duration_pb2 import Duration

from gateway.backends.errors import Attempt, FailureReason
from gateway.contract import Execution, Outcome, Reranked, Stage, StageOutcome
from rerank.v1 import (
    execution_pb2,
    ranking_pb2,
    rerank_service_pb2,
)

_MOST_TOKENS = 2**31 - 1
_OF_RERANK = ranking_pb2.SCORE_KIND_RERANK
_OF_RETRIEVAL = ranking_pb2.SCORE_KIND_RETRIEVAL
_OF_NOTHING = ranking_pb2.SCORE_KIND_UNSPECIFIED

# Built when imported, so a name that the contract lacks cannot go unnoticed.
_OUTCOMES = {
    outcome: execution_pb2.Outcome.Value(f"OUTCOME_{outcome}") for outcome in Outcome
}
_REASONS = {
    reason: execution_pb2.FallbackReason.Value(f"FALLBACK_REASON_{reason}")
    for reason in FailureReason
}
_STAGE_OUTCOMES = {
    outcome: execution_pb2.StageOutcome.Value(f"STAGE_OUTCOME_{outcome}")
    for outcome in StageOutcome
}


def write_rerank(
    request: rerank_service_pb2.RerankRequest, reranked: Reranked
) -> rerank_service_pb2.RerankResponse:
    """Write the answer to a request."""
    response = rerank_service_pb2.RerankResponse(
        search_method=reranked.search_method,
        message=reranked.message,
        fallback_triggered=reranked.fallback_triggered,
        execution=write_execution(reranked.execution),
    )
    _add_results(response, request, reranked)
    return response


def write_execution(execution: Execution) -> execution_pb2.Execution:
    """Write how an answer came about."""
    return execution_pb2.Execution(
        outcome=_OUTCOMES[execution.outcome],
        fallback_reason=reason_of(execution.fallback_reason),
        route=execution.route,
        backend=execution.backend,
        model=execution.model,
        attempts=[_attempt(each) for each in execution.attempts],
        stages=[_stage(each) for each in execution.stages],
        scored_count=execution.scored_count,
        cached_count=execution.cached_count,
        unscored_indexes=execution.unscored_indexes,
        truncated_indexes=execution.truncated_indexes,
        min_score_applied=execution.min_score_applied,
        usage=execution_pb2.Usage(
            search_units=execution.usage.search_units,
            # A vendor may say anything, and nothing larger fits the contract.
            tokens=min(execution.usage.tokens, _MOST_TOKENS),
            passages=execution.usage.passages,
        ),
        duration=duration_of(execution.duration_s),
    )


def _add_results(
    response: rerank_service_pb2.RerankResponse,
    request: rerank_service_pb2.RerankRequest,
    reranked: Reranked,
) -> None:
    documents = list(request.documents)
    # One after the other, in the order in which they lie: half as long as here and there.
    ids = [each.id for each in documents]
    scores = [each.score if each.HasField("score") else None for each in documents]
    with_documents = request.return_documents
    # Where they belong: a list of results would be copied there, which takes as long.
    add = response.results.add
    for index, rank, raw_score, rerank_score in reranked.results:
        retrieval_score = scores[index]
        score, kind, method = rerank_score, _OF_RERANK, reranked.search_method
        if score is None:
            score, method = retrieval_score, reranked.tail_method
            kind = _OF_NOTHING if score is None else _OF_RETRIEVAL
        # All at once: a field that is set afterwards costs as much as five here.
        result = add(
            id=ids[index],
            index=index,
            rank=rank,
            original_rank=index + 1,
            score=score,
            score_kind=kind,
            rerank_score=rerank_score,
            raw_score=raw_score,
            retrieval_score=retrieval_score,
            search_method=method,
        )
        if with_documents:
            result.document.CopyFrom(documents[index])
            if not request.return_embeddings:
                result.document.ClearField("embedding")


def _attempt(attempt: Attempt) -> execution_pb2.Attempt:
    return execution_pb2.Attempt(
        backend=attempt.backend,
        model=attempt.model,
        failure_reason=reason_of(attempt.failure),
        duration=duration_of(attempt.duration_s),
        document_count=attempt.document_count,
    )


def _stage(stage: Stage) -> execution_pb2.Stage:
    return execution_pb2.Stage(
        name=stage.name,
        outcome=_STAGE_OUTCOMES[stage.outcome],
        reason=reason_of(stage.reason),
        duration=duration_of(stage.duration_s),
        detail=stage.detail,
    )


def reason_of(
    reason: FailureReason | None,
) -> execution_pb2.FallbackReason.ValueType:
    """Give the contract's name of a failure; unspecified for none."""
    if reason is None:
        return execution_pb2.FALLBACK_REASON_UNSPECIFIED
    return _REASONS[reason]


def duration_of(seconds: float) -> Duration:
    """Write seconds as a message, to the nearest nanosecond."""
    whole, nanos = divmod(round(seconds * 1_000_000_000), 1_000_000_000)
    return Duration(seconds=whole, nanos=nanos)
