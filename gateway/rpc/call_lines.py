"""What the line about a call says, read from the answer that went to the caller.

Every call pays for this: it reads few fields, and no result.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration

from gateway.events import CallEnded
from gateway.rpc.written import Written
from rerank.v1 import execution_pb2, rerank_service_pb2, search_service_pb2

Answer = rerank_service_pb2.RerankResponse | search_service_pb2.SearchResponse


def _short(names: Sequence[tuple[str, int]], prefix: str) -> dict[int, str]:
    """Name the values of an enum as people do; the one that says nothing is empty."""
    return {
        number: "" if number == 0 else name.removeprefix(prefix)
        for name, number in names
    }


OUTCOMES = _short(execution_pb2.Outcome.items(), "OUTCOME_")
REASONS = _short(execution_pb2.FallbackReason.items(), "FALLBACK_REASON_")
STAGE_OUTCOMES = _short(execution_pb2.StageOutcome.items(), "STAGE_OUTCOME_")


def answer_in(response: object) -> Answer | None:
    """Find the ranked answer in what was sent, if it is one."""
    if isinstance(response, Written):
        return response.answer
    if isinstance(response, Answer):
        return response
    if isinstance(response, search_service_pb2.SearchProgressiveResponse):
        return response.search_response
    return None


def seconds_of(duration: Duration) -> float:
    """Read a message as seconds."""
    return duration.seconds + duration.nanos / 1_000_000_000


@dataclass(slots=True)
class Batch:
    """What became of the requests of a `RerankBatch`."""

    requests: int = 0
    refused: int = 0
    fell_back: int = 0

    def add(self, response: rerank_service_pb2.RerankBatchResponse) -> None:
        """Count one that was answered."""
        self.requests += 1
        self.refused += response.HasField("error")
        self.fell_back += response.response.fallback_triggered


def last_of(before: object, response: object) -> object:
    """Give what a line is read from: the last message sent, or all of a batch.

    Args:
        before: The same without this message.
        response: A message to the caller.

    """
    if not isinstance(response, rerank_service_pb2.RerankBatchResponse):
        return response
    batch = before if isinstance(before, Batch) else Batch()
    batch.add(response)
    return batch


def call_ended(
    method: str,
    status: str,
    duration_s: float,
    response: object = None,
    *,
    face: str = "",
    tenant: str = "",
) -> CallEnded:
    """Tell of a call that is over.

    Args:
        method: `package.Service/Method`.
        status: The name of the status that the caller got.
        duration_s: How long it took.
        response: As `last_of` gives it; None: the caller got none.
        face: Whose API the caller speaks; empty: gRPC.
        tenant: Who called, as its credentials prove.

    """
    if isinstance(response, Batch):
        return CallEnded(
            method,
            status,
            duration_s,
            tenant=tenant,
            fallback=response.fell_back > 0,
            requests=response.requests,
            refused=response.refused,
            fell_back=response.fell_back,
            face=face,
        )
    answer = answer_in(response)
    if answer is None:
        return CallEnded(method, status, duration_s, face=face, tenant=tenant)
    execution = answer.execution
    scored = execution.scored_count
    # Where no rerank is wanted, it need not be the name of a route that there is.
    named = execution.outcome != execution_pb2.OUTCOME_NOT_REQUESTED
    return CallEnded(
        method,
        status,
        duration_s,
        face=face,
        tenant=tenant,
        outcome=OUTCOMES.get(execution.outcome, ""),
        search_method=answer.search_method,
        fallback=answer.fallback_triggered,
        fallback_reason=REASONS.get(execution.fallback_reason, ""),
        route=execution.route if named else "",
        backend=execution.backend,
        model=execution.model,
        candidates=scored + len(execution.unscored_indexes),
        scored=scored,
        cached=execution.cached_count,
        returned=(
            response.returned if isinstance(response, Written) else len(answer.results)
        ),
        attempts=len(execution.attempts),
        stages=tuple(
            [(each.name, seconds_of(each.duration)) for each in execution.stages]
        ),
    )
