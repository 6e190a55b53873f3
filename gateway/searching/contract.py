"""What a caller of Search asks for and gets, as plain values: the contract without protobuf."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from gateway.backends.scorer import CacheWish
from gateway.contract import DEFAULT_ROUTE, Execution
from gateway.ranking.fusion import FusionTerm
from gateway.retrieval.filter import Filter
from gateway.retrieval.retriever import Document as StoredDocument

if TYPE_CHECKING:
    from gateway.ranking.diversity import Marginal

DEFAULT_COLLECTION = "default"
DEFAULT_LIMIT = 10
DEFAULT_RRF_K = 60
DEFAULT_CANDIDATES = 100
DEFAULT_RELEVANCE_WEIGHT = 0.7


class Mode(StrEnum):
    """Which legs are searched."""

    HYBRID = "HYBRID"
    VECTOR = "VECTOR"
    FULLTEXT = "FULLTEXT"


class Fusion(StrEnum):
    """How two lists become one."""

    RRF = "RRF"
    ZSCORE = "ZSCORE"


class MmrStage(StrEnum):
    """When MMR is applied."""

    BEFORE_RERANK = "BEFORE_RERANK"
    AFTER_RERANK = "AFTER_RERANK"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval:
    """How candidates are found and joined."""

    mode: Mode = Mode.HYBRID
    candidates: int = 0
    """Per leg; 0: the greatest of 100, limit + offset and the documents to score."""
    fusion: Fusion | None = None
    """None: the route's."""
    rrf_k: int = DEFAULT_RRF_K
    vector_weight: float | None = None
    """None: 1, or what `adaptive_weights` makes of the query's length."""
    bm25_weight: float | None = None
    adaptive_weights: bool | None = None
    """None: the route's."""
    min_rrf_score: float | None = None
    min_similarity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mmr:
    """How results are made diverse."""

    relevance_weight: float = DEFAULT_RELEVANCE_WEIGHT
    stage: MmrStage = MmrStage.BEFORE_RERANK
    pool: int = 0
    """Documents chosen; 0: limit + offset."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankWish:
    """Whether and how candidates are reranked."""

    enabled: bool | None = None
    """None: the route's."""
    top_k: int | None = None
    min_score: float | None = None
    route: str = DEFAULT_ROUTE
    timeout_s: float | None = None
    instruction: str = ""
    cache: CacheWish = field(default_factory=CacheWish)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a caller asks for, already checked."""

    query: str
    """Blank only with an embedding."""
    embedding: tuple[float, ...] | None = None
    collection: str = DEFAULT_COLLECTION
    limit: int = DEFAULT_LIMIT
    offset: int = 0
    filter: Filter | None = None
    retrieval: Retrieval = field(default_factory=Retrieval)
    mmr: Mmr | None = None
    """None: not wanted."""
    rerank: RerankWish = field(default_factory=RerankWish)
    max_per_group: int = 0
    """0: no bound."""
    timeout_s: float | None = None
    deadline: float | None = None
    """When the caller stops waiting, in event-loop seconds; None: never."""
    keep_order: bool = True
    """Answer with the order before when no backend scores; else raise."""
    min_version: int = 0
    with_vectors: bool = False
    """Whether the documents returned contain their vectors."""
    labels: tuple[tuple[str, str], ...] = ()
    """What is written down beside what it costs, in the order of their names."""
    caller: str = ""
    """Who asks, for a fair share of what is scarce; empty: unknown, one of all."""


class ScoreKind(StrEnum):
    """What kind of number placed a document."""

    RERANK = "RERANK"
    MMR = "MMR"
    RETRIEVAL = "RETRIEVAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What each leg found, and what fusion and MMR made of it."""

    vector_rank: int = 0
    """From 1; 0: the leg did not find the document, or was not searched."""
    bm25_rank: int = 0
    vector_score: float | None = None
    bm25_score: float | None = None
    vector_term: FusionTerm | None = None
    bm25_term: FusionTerm | None = None
    marginal: "Marginal | None" = None
    """None: MMR did not place the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One document in its final place."""

    id: str
    index: int
    """Place among the documents retrieved, from 0."""
    rank: int
    """From 1; it counts the documents that `offset` skipped."""
    search_method: str
    """Which stages placed this document."""
    retrieval_score: float
    score: float
    score_kind: ScoreKind
    raw_score: float | None = None
    """As the model gave it; None: nobody scored this document."""
    rerank_score: float | None = None
    """The same on 0..1."""
    document: StoredDocument | None = None
    """None: it was deleted while it was being searched."""
    explanation: Explanation


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """The answer."""

    results: tuple[Result, ...]
    search_method: str
    """Which stages succeeded."""
    message: str
    fallback_triggered: bool
    execution: Execution
    version: int
    """Of the collection that was searched."""
