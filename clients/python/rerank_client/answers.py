"""What an answer says of itself, and what is easily done with it."""

from collections.abc import Sequence
from typing import TypeVar

from rerank_client.errors import from_batch
from rerank_client.types import (
    FallbackReason,
    Outcome,
    RerankBatchResponse,
    RerankResponse,
    SearchResponse,
)

T = TypeVar("T")

_SAID_BY_ITSELF = frozenset(Outcome.values())


def fell_back(answer: RerankResponse | SearchResponse) -> bool:
    """Tell whether a rerank was wanted and no backend gave a score.

    The order is then that of before. An outcome that this client does not know is read as
    the contract says: by whether any result has a `rerank_score`.
    """
    outcome = answer.execution.outcome
    if outcome in _SAID_BY_ITSELF:
        return outcome == Outcome.OUTCOME_FELL_BACK
    return not any(each.HasField("rerank_score") for each in answer.results)


def fallback_reason(answer: RerankResponse | SearchResponse) -> str:
    """Say why the last backend asked gave no scores, for example `TIMEOUT`.

    Empty where one gave scores or none was asked. A reason that this client does not know
    is its number.
    """
    reason = answer.execution.fallback_reason
    if reason == FallbackReason.FALLBACK_REASON_UNSPECIFIED:
        return ""
    if reason not in FallbackReason.values():
        return str(reason)
    return FallbackReason.Name(reason).removeprefix("FALLBACK_REASON_")


def in_order(documents: Sequence[T], answer: RerankResponse) -> list[T]:
    """Put what was sent into the order of the answer.

    Args:
        documents: What the documents of the request were made of, in the same order.
        answer: What the gateway answered. What it removed is not in the list.

    """
    return [documents[each.index] for each in answer.results]


def answer_of(response: RerankBatchResponse) -> RerankResponse:
    """Take the answer to one request of a batch.

    Raises:
        RerankError: This request failed; the others of the batch go on.

    """
    if response.HasField("error"):
        raise from_batch(response.error)
    return response.response
