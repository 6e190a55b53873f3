"""From a `SearchRequest` to plain values, or to every violation in it."""

import math
from typing import Any

from google.protobuf.message import Message

from gateway.contract import DEFAULT_ROUTE
from gateway.retrieval.filter import Filter
from gateway.rpc.filters import read_filter
from gateway.rpc.options import (
    check_failure_policy,
    check_instruction,
    check_labels,
    check_vector,
    kept_labels,
    positive_s,
    read_cache,
)
from gateway.rpc.requests import Limits
from gateway.rpc.violations import Violations, bytes_over
from gateway.searching.contract import (
    DEFAULT_COLLECTION,
    DEFAULT_LIMIT,
    DEFAULT_RELEVANCE_WEIGHT,
    DEFAULT_RRF_K,
    Fusion,
    Mmr,
    MmrStage,
    Mode,
    RerankWish,
    Retrieval,
    Search,
)
from rerank.v1 import options_pb2, search_service_pb2

_MAX_LIMIT = 1000
# Beyond it, sums of fused scores would overflow.
_MAX_WEIGHT = 1_000_000
_MAX_DEPTH = 10_000
_MAX_RRF_K = 10_000
_MIN_RESPONSE_BYTES = 64 * 1024
_MAX_RESPONSE_BYTES = 1024 * 1024 * 1024

_MODES = {
    search_service_pb2.RETRIEVAL_MODE_UNSPECIFIED: Mode.HYBRID,
    search_service_pb2.RETRIEVAL_MODE_HYBRID: Mode.HYBRID,
    search_service_pb2.RETRIEVAL_MODE_VECTOR: Mode.VECTOR,
    search_service_pb2.RETRIEVAL_MODE_FULLTEXT: Mode.FULLTEXT,
}
_FUSIONS = {
    search_service_pb2.FUSION_UNSPECIFIED: None,
    search_service_pb2.FUSION_RRF: Fusion.RRF,
    search_service_pb2.FUSION_ZSCORE: Fusion.ZSCORE,
}
_MMR_STAGES = {
    search_service_pb2.MMR_STAGE_UNSPECIFIED: MmrStage.BEFORE_RERANK,
    search_service_pb2.MMR_STAGE_BEFORE_RERANK: MmrStage.BEFORE_RERANK,
    search_service_pb2.MMR_STAGE_AFTER_RERANK: MmrStage.AFTER_RERANK,
}


def read_search(
    message: search_service_pb2.SearchRequest,
    limits: Limits,
    *,
    now: float,
    remaining_s: float | None,
) -> Search:
    """Check a request and take it apart.

    What is wrong only for the collection, such as a filter by a field that it has not,
    is found where the collection is.

    Args:
        message: As it came.
        limits: What the server takes.
        now: Event-loop time.
        remaining_s: What is left of the caller's gRPC deadline; None: it has none.

    Raises:
        InvalidRequest: With every violation.

    """
    wrong = Violations()
    _check_query(message, limits, wrong)
    depth = _depth(message, wrong)
    condition: Filter | None = None
    if message.HasField("filter"):
        condition = read_filter(message.filter, "filter", wrong)
    retrieval = _retrieval(message.retrieval, depth, wrong)
    mmr = _mmr(message.mmr, wrong)
    rerank = _rerank(message.rerank, wrong)
    timeout_s = None
    if message.HasField("timeout"):
        timeout_s = positive_s("timeout", message.timeout, wrong)
    check_failure_policy("failure_policy", message.failure_policy, wrong)
    check_labels("labels", message.labels, wrong)
    _check_answer(message, wrong)
    wrong.check()
    return Search(
        query=message.query,
        embedding=tuple(message.embedding) or None,
        collection=message.collection or DEFAULT_COLLECTION,
        limit=message.limit or DEFAULT_LIMIT,
        offset=message.offset,
        filter=condition,
        retrieval=retrieval,
        mmr=mmr if message.mmr.enabled else None,
        rerank=rerank,
        max_per_group=message.max_per_group,
        timeout_s=timeout_s,
        deadline=None if remaining_s is None else now + remaining_s,
        keep_order=message.failure_policy != options_pb2.FAILURE_POLICY_FAIL,
        min_version=message.min_version,
        with_vectors=message.return_embeddings,
        labels=kept_labels(message.labels, limits.labels),
    )


def _check_query(
    message: search_service_pb2.SearchRequest, limits: Limits, wrong: Violations
) -> None:
    if not message.embedding and not message.query.strip():
        wrong.add("query", "must not be blank without an embedding")
    if bytes_over(limits.max_query_bytes, message.query):
        wrong.add("query", f"must have at most {limits.max_query_bytes} bytes of UTF-8")
    check_vector("embedding", message.embedding, wrong)


def _depth(message: search_service_pb2.SearchRequest, wrong: Violations) -> int:
    """Tell how deep the page goes; 0: it is wrong, and `wrong` was told."""
    depth = (message.limit or DEFAULT_LIMIT) + message.offset
    limit_fits = 0 <= message.limit <= _MAX_LIMIT
    if not limit_fits:
        wrong.add("limit", f"must be from 1 to {_MAX_LIMIT}, or 0 for {DEFAULT_LIMIT}")
    if message.offset < 0:
        wrong.add("offset", "must not be negative")
    elif limit_fits and depth > _MAX_DEPTH:
        wrong.add("offset", f"limit + offset must be at most {_MAX_DEPTH}")
    elif limit_fits:
        return depth
    return 0


def _retrieval(
    message: search_service_pb2.RetrievalOptions, depth: int, wrong: Violations
) -> Retrieval:
    path = "retrieval"
    if message.mode not in _MODES:
        wrong.add(f"{path}.mode", "must be HYBRID, VECTOR or FULLTEXT")
    if not 0 <= message.candidates <= _MAX_DEPTH:
        wrong.add(
            f"{path}.candidates",
            f"must be from 1 to {_MAX_DEPTH}, or 0 for the default",
        )
    elif 0 < message.candidates < depth:
        wrong.add(
            f"{path}.candidates", f"must be at least limit + offset, which is {depth}"
        )
    if message.fusion not in _FUSIONS:
        wrong.add(f"{path}.fusion", "must be RRF or ZSCORE")
    if not 0 <= message.rrf_k <= _MAX_RRF_K:
        wrong.add(
            f"{path}.rrf_k", f"must be from 1 to {_MAX_RRF_K}, or 0 for {DEFAULT_RRF_K}"
        )
    vector_weight = _between(message, "vector_weight", (0, _MAX_WEIGHT), path, wrong)
    bm25_weight = _between(message, "bm25_weight", (0, _MAX_WEIGHT), path, wrong)
    if vector_weight == bm25_weight == 0:
        wrong.add(f"{path}.bm25_weight", "must not be 0 as vector_weight is")
    return Retrieval(
        mode=_MODES.get(message.mode, Mode.HYBRID),
        candidates=message.candidates,
        fusion=_FUSIONS.get(message.fusion),
        rrf_k=message.rrf_k or DEFAULT_RRF_K,
        vector_weight=vector_weight,
        bm25_weight=bm25_weight,
        adaptive_weights=_given(message, "adaptive_weights"),
        min_rrf_score=_not_negative(message, "min_rrf_score", path, wrong),
        min_similarity=_between(message, "min_similarity", (-1, 1), path, wrong),
    )


def _mmr(message: search_service_pb2.MmrOptions, wrong: Violations) -> Mmr:
    path = "mmr"
    weight = _between(message, "relevance_weight", (0, 1), path, wrong)
    if message.stage not in _MMR_STAGES:
        wrong.add(f"{path}.stage", "must be BEFORE_RERANK or AFTER_RERANK")
    if not 0 <= message.pool <= _MAX_DEPTH:
        wrong.add(
            f"{path}.pool", f"must be from 1 to {_MAX_DEPTH}, or 0 for limit + offset"
        )
    return Mmr(
        relevance_weight=DEFAULT_RELEVANCE_WEIGHT if weight is None else weight,
        stage=_MMR_STAGES.get(message.stage, MmrStage.BEFORE_RERANK),
        pool=message.pool,
    )


def _rerank(message: search_service_pb2.RerankOptions, wrong: Violations) -> RerankWish:
    path = "rerank"
    top_k: int | None = _given(message, "top_k")
    if top_k is not None and not 1 <= top_k <= _MAX_DEPTH:
        wrong.add(f"{path}.top_k", f"must be from 1 to {_MAX_DEPTH} when set")
    min_score = _between(message, "min_score", (0, 1), path, wrong)
    timeout_s = None
    if message.HasField("timeout"):
        timeout_s = positive_s(f"{path}.timeout", message.timeout, wrong)
    cache = read_cache(f"{path}.cache", message.cache, wrong)
    check_instruction(f"{path}.instruction", message.instruction, wrong)
    return RerankWish(
        enabled=_given(message, "enabled"),
        top_k=top_k,
        min_score=min_score,
        route=message.route or DEFAULT_ROUTE,
        timeout_s=timeout_s,
        instruction=message.instruction,
        cache=cache,
    )


def _check_answer(message: search_service_pb2.SearchRequest, wrong: Violations) -> None:
    if message.min_version < 0:
        wrong.add("min_version", "must not be negative")
    most = message.max_response_bytes
    if most and not _MIN_RESPONSE_BYTES <= most <= _MAX_RESPONSE_BYTES:
        wrong.add(
            "max_response_bytes",
            f"must be from {_MIN_RESPONSE_BYTES} to {_MAX_RESPONSE_BYTES},"
            " or 0 for 4 MiB",
        )
    if message.max_per_group < 0:
        wrong.add("max_per_group", "must not be negative")


def _not_negative(
    message: Message, name: str, path: str, wrong: Violations
) -> float | None:
    number: float | None = _given(message, name)
    if number is not None and not 0 <= number < math.inf:
        wrong.add(f"{path}.{name}", "must be finite and not negative")
    return number


def _between(
    message: Message,
    name: str,
    bounds: tuple[float, float],
    path: str,
    wrong: Violations,
) -> float | None:
    number: float | None = _given(message, name)
    lowest, highest = bounds
    if number is not None and not lowest <= number <= highest:
        wrong.add(f"{path}.{name}", f"must be from {lowest} to {highest}")
    return number


def _given(message: Message, name: str) -> Any:  # noqa: ANN401 - a field of any type
    """Read a field; None: it is not set."""
    return getattr(message, name) if message.HasField(name) else None
