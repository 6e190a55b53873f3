"""Every name that leaves by OpenTelemetry, and the values of those with few.

Three vocabularies: OpenTelemetry's own for RPC and HTTP, OpenInference's for retrieval
and reranking (what Phoenix and its kin show), and `rerank_gateway.*` for the rest. The
names of RPC are those of the release candidate, `rpc.status_code` included, which no
released package has yet: so they are literals here, and no schema URL is claimed.
"""

import asyncio
from typing import Final

SCOPE: Final = "rerank_gateway"

# OpenTelemetry: RPC, HTTP, errors.

RPC_SYSTEM: Final = "rpc.system.name"
FACE: Final = "rerank_gateway.face"
RPC_METHOD: Final = "rpc.method"
RPC_STATUS: Final = "rpc.status_code"
ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_STATUS: Final = "http.response.status_code"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL: Final = "url.full"
"""Scheme, host and path alone: a query may hold a key."""

GRPC: Final = "grpc"
OTHER: Final = "_OTHER"
"""Stands for what is not one of a closed set."""

SERVER_ERRORS: Final = frozenset(
    {
        "UNKNOWN",
        "DEADLINE_EXCEEDED",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
    }
)
"""The status codes that are a server's errors; all others are a caller's affair."""

# OpenInference.

SPAN_KIND: Final = "openinference.span.kind"
CHAIN: Final = "CHAIN"
RETRIEVER: Final = "RETRIEVER"
RERANKER: Final = "RERANKER"
MODEL: Final = "reranker.model_name"
TOP_K: Final = "reranker.top_k"
QUERY: Final = "reranker.query"
INPUT: Final = "input.value"
OUTPUT: Final = "output.value"
"""The search method again: what lists of traces show of each."""
RETRIEVED: Final = "retrieval.documents"
RERANKED: Final = "reranker.output_documents"

# Of our own.

SEARCH_METHOD: Final = "rerank_gateway.search_method"
REQUESTED_METHOD: Final = "rerank_gateway.requested_search_method"
FALLBACK_REASON: Final = "rerank_gateway.fallback.reason"
OUTCOME: Final = "rerank_gateway.outcome"
ROUTE: Final = "rerank_gateway.route"
TENANT: Final = "rerank_gateway.tenant"
BACKEND: Final = "rerank_gateway.backend"
ATTEMPT: Final = "rerank_gateway.attempt.number"
ATTEMPTS: Final = "rerank_gateway.attempts"
STAGE: Final = "rerank_gateway.stage"
STAGE_OUTCOME: Final = "rerank_gateway.stage_outcome"
CACHE_RESULT: Final = "rerank_gateway.cache.result"
CACHE_TIER: Final = "rerank_gateway.cache.tier"
CACHE_AGE: Final = "rerank_gateway.cache.age"
EVICTION_REASON: Final = "rerank_gateway.cache.eviction_reason"
CANDIDATES: Final = "rerank_gateway.candidate.count"
SCORED: Final = "rerank_gateway.scored.count"
CACHED: Final = "rerank_gateway.cached.count"
RETURNED: Final = "rerank_gateway.returned.count"
TRUNCATED: Final = "rerank_gateway.truncated.count"
REQUESTS: Final = "rerank_gateway.request.count"
REFUSED: Final = "rerank_gateway.refused.count"
FELL_BACK: Final = "rerank_gateway.fell_back.count"
BUDGET: Final = "rerank_gateway.deadline.budget"
RESULT_IDS: Final = "rerank_gateway.result.ids"
RESULT_SCORES: Final = "rerank_gateway.result.scores"
RESULT_RANKS_BEFORE: Final = "rerank_gateway.result.ranks_before"
RESULT_METHODS: Final = "rerank_gateway.result.search_methods"
RESULT_MIXED: Final = "rerank_gateway.result.method_mixed"
DISPLACEMENT: Final = "rerank_gateway.rank.displacement"
TOP1_CHANGED: Final = "rerank_gateway.rank.top1_changed"
SCALE: Final = "rerank_gateway.score.scale"
QUEUE_TIME: Final = "rerank_gateway.backend.queue_time"
INFERENCE_TIME: Final = "rerank_gateway.backend.inference_time"
SEARCH_UNITS: Final = "rerank_gateway.billed.search_units"
TOKENS: Final = "rerank_gateway.billed.tokens"
BILLED_UNIT: Final = "rerank_gateway.billed_unit"
QUOTA: Final = "rerank_gateway.quota"
LABELS: Final = "rerank_gateway.labels"
CIRCUIT_STATE: Final = "rerank_gateway.circuit.state"
EXTRA_CALL: Final = "rerank_gateway.extra_call.kind"
SIGNAL: Final = "rerank_gateway.telemetry.signal"
CONFIG_OUTCOME: Final = "rerank_gateway.config.outcome"
DEBUG: Final = "rerank_gateway.debug"

# Bounds: the SDK keeps 128 attributes of a span and drops the oldest beyond.

MOST_RESULTS: Final = 50
"""Results that the arrays of a span name."""
MOST_DOCUMENTS: Final = 10
"""Documents of a span, each with several attributes."""
LONGEST_ID: Final = 128
LONGEST_TEXT: Final = 256
"""Characters of a query or a document, where content is captured at all."""


def error_type(error: BaseException | None) -> str:
    """Name what was raised: its kind, never its message; empty: nothing was."""
    if error is None:
        return ""
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        return "cancelled"
    return type(error).__name__
