"""The messages and enums of the contract, `rerank.v1`.

Their comments say what each field means. A value of an enum is an attribute of it
(`Outcome.OUTCOME_FELL_BACK`), and `Outcome.Name(value)` is its name.
"""

from rerank_client._gen.rerank.v1.backend_pb2 import (
    Backend,
    BackendKind,
    BackendLimits,
    BackendState,
    CircuitState,
    ScoreScale,
)
from rerank_client._gen.rerank.v1.backend_service_pb2 import (
    CheckBackendRequest,
    CheckBackendResponse,
    ListBackendsRequest,
    ListBackendsResponse,
)
from rerank_client._gen.rerank.v1.collection_pb2 import (
    Collection,
    CollectionField,
    FieldType,
)
from rerank_client._gen.rerank.v1.document_pb2 import (
    Document,
)
from rerank_client._gen.rerank.v1.document_service_pb2 import (
    CreateCollectionRequest,
    CreateCollectionResponse,
    DeleteCollectionRequest,
    DeleteCollectionResponse,
    DeleteDocumentsRequest,
    DeleteDocumentsResponse,
    GetDocumentRequest,
    GetDocumentResponse,
    ImportDocumentsRequest,
    ImportDocumentsResponse,
    ListCollectionsRequest,
    ListCollectionsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
    RejectedDocument,
    RejectionReason,
)
from rerank_client._gen.rerank.v1.error_reason_pb2 import (
    ErrorReason,
)
from rerank_client._gen.rerank.v1.execution_pb2 import (
    Attempt,
    Execution,
    FallbackReason,
    Outcome,
    Stage,
    StageOutcome,
    Usage,
)
from rerank_client._gen.rerank.v1.filter_pb2 import (
    EqualCondition,
    Filter,
    FilterList,
    InCondition,
    RangeCondition,
    Value,
)
from rerank_client._gen.rerank.v1.options_pb2 import (
    CacheMode,
    CacheOptions,
    FailurePolicy,
)
from rerank_client._gen.rerank.v1.ranking_pb2 import (
    Explanation,
    FusionTerm,
    RankedDocument,
    ScoreKind,
)
from rerank_client._gen.rerank.v1.rerank_service_pb2 import (
    FieldViolation,
    RerankBatchError,
    RerankBatchRequest,
    RerankBatchResponse,
    RerankRequest,
    RerankResponse,
)
from rerank_client._gen.rerank.v1.search_service_pb2 import (
    Fusion,
    MmrOptions,
    MmrStage,
    RerankOptions,
    RetrievalMode,
    RetrievalOptions,
    SearchProgressiveRequest,
    SearchProgressiveResponse,
    SearchRequest,
    SearchResponse,
)

__all__ = [
    "Attempt",
    "Backend",
    "BackendKind",
    "BackendLimits",
    "BackendState",
    "CacheMode",
    "CacheOptions",
    "CheckBackendRequest",
    "CheckBackendResponse",
    "CircuitState",
    "Collection",
    "CollectionField",
    "CreateCollectionRequest",
    "CreateCollectionResponse",
    "DeleteCollectionRequest",
    "DeleteCollectionResponse",
    "DeleteDocumentsRequest",
    "DeleteDocumentsResponse",
    "Document",
    "EqualCondition",
    "ErrorReason",
    "Execution",
    "Explanation",
    "FailurePolicy",
    "FallbackReason",
    "FieldType",
    "FieldViolation",
    "Filter",
    "FilterList",
    "Fusion",
    "FusionTerm",
    "GetDocumentRequest",
    "GetDocumentResponse",
    "ImportDocumentsRequest",
    "ImportDocumentsResponse",
    "InCondition",
    "ListBackendsRequest",
    "ListBackendsResponse",
    "ListCollectionsRequest",
    "ListCollectionsResponse",
    "ListDocumentsRequest",
    "ListDocumentsResponse",
    "MmrOptions",
    "MmrStage",
    "Outcome",
    "RangeCondition",
    "RankedDocument",
    "RejectedDocument",
    "RejectionReason",
    "RerankBatchError",
    "RerankBatchRequest",
    "RerankBatchResponse",
    "RerankOptions",
    "RerankRequest",
    "RerankResponse",
    "RetrievalMode",
    "RetrievalOptions",
    "ScoreKind",
    "ScoreScale",
    "SearchProgressiveRequest",
    "SearchProgressiveResponse",
    "SearchRequest",
    "SearchResponse",
    "Stage",
    "StageOutcome",
    "Usage",
    "Value",
]
