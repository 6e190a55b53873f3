"""A client of rerank-gateway.

    with RerankClient("localhost:50051") as client:
        answer = client.rerank("capital of France", ["Rome", "Paris"])

Messages are in `rerank_client.types`, conditions of a search in `rerank_client.filters`,
adapters in `rerank_client.langchain`, `.llama_index` and `.haystack`.
"""

from rerank_client.answers import answer_of, fallback_reason, fell_back, in_order
from rerank_client.async_client import AsyncRerankClient
from rerank_client.client import RerankClient
from rerank_client.connection import ConnectionOptions
from rerank_client.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    Internal,
    InvalidRequest,
    NotFound,
    RerankError,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Violation,
)
from rerank_client.health import ServingStatus
from rerank_client.requests import DocumentLike, RerankFields, SearchFields

__all__ = [
    "AlreadyExists",
    "AsyncRerankClient",
    "ConnectionOptions",
    "DeadlineExceeded",
    "DocumentLike",
    "FailedPrecondition",
    "Internal",
    "InvalidRequest",
    "NotFound",
    "RerankClient",
    "RerankError",
    "RerankFields",
    "ResourceExhausted",
    "SearchFields",
    "ServingStatus",
    "Unauthenticated",
    "Unavailable",
    "Violation",
    "answer_of",
    "fallback_reason",
    "fell_back",
    "in_order",
]
