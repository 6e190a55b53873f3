"""What an adapter asks of the gateway, and what it writes beside a document of the answer.

Frameworks hand on documents, not answers: how a document came to its place would be lost.
"""

import math
from collections.abc import Mapping
from typing import Any

from rerank_client.answers import fallback_reason
from rerank_client.requests import RerankFields
from rerank_client.types import FailurePolicy, RankedDocument, RerankResponse

SEARCH_METHOD = "search_method"
"""Which stages placed this document, for example `vector+rerank`, or `input_order`."""

FALLBACK_TRIGGERED = "fallback_triggered"
"""Whether any stage did less than was asked of it, for the whole answer."""

FALLBACK_REASON = "fallback_reason"
"""Why nobody scored, for example `TIMEOUT`. Absent where somebody did."""

RETRIEVAL_SCORE = "retrieval_score"
"""What the first stage said, on its own scale. Absent where it said nothing."""

KEYS = (SEARCH_METHOD, FALLBACK_TRIGGERED, FALLBACK_REASON, RETRIEVAL_SCORE)


def provenance(result: RankedDocument, answer: RerankResponse) -> dict[str, Any]:
    """Say how a document came to its place."""
    written: dict[str, Any] = {
        SEARCH_METHOD: result.search_method,
        FALLBACK_TRIGGERED: answer.fallback_triggered,
    }
    if reason := fallback_reason(answer):
        written[FALLBACK_REASON] = reason
    if result.HasField("retrieval_score"):
        written[RETRIEVAL_SCORE] = result.retrieval_score
    return written


def without(metadata: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Copy metadata without what an earlier rerank wrote there."""
    stale = {*KEYS, *keys}
    return {key: value for key, value in metadata.items() if key not in stale}


def score_of(result: RankedDocument) -> float | None:
    """Give what the model said, 0 to 1. None: nobody scored the document."""
    return result.rerank_score if result.HasField("rerank_score") else None


def retrieval_score_of(score: float | None) -> float | None:
    """Give the score of a document before, if it is one: the gateway refuses NaN."""
    return score if score is not None and math.isfinite(score) else None


def rerank_fields(
    *,
    route: str,
    top_k: int | None,
    top_n: int,
    min_score: float | None,
    search_method: str,
    instruction: str,
    raise_on_failure: bool,
) -> RerankFields:
    """Write an adapter's settings as fields of the request."""
    fields = RerankFields(
        route=route,
        top_n=top_n,
        search_method=search_method,
        instruction=instruction,
    )
    if top_k is not None:
        fields["top_k"] = top_k
    if min_score is not None:
        fields["min_score"] = min_score
    if raise_on_failure:
        fields["failure_policy"] = FailurePolicy.FAILURE_POLICY_FAIL
    return fields
