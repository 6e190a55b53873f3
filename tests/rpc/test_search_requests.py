"""From a `SearchRequest` to plain values, or to every violation in it."""

import math
from collections.abc import Callable
from typing import TypeAlias

import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.backends.scorer import CacheMode, CacheWish
from gateway.errors import InvalidRequest
from gateway.retrieval.filter import Equals
from gateway.rpc.requests import Limits
from gateway.rpc.search_requests import read_search
from gateway.searching.contract import (
    Fusion,
    Mmr,
    MmrStage,
    Mode,
    RerankWish,
    Retrieval,
    Search,
)
from rerank.v1 import filter_pb2, options_pb2, search_service_pb2

SearchRequest: TypeAlias = search_service_pb2.SearchRequest
RetrievalOptions = search_service_pb2.RetrievalOptions
MmrOptions = search_service_pb2.MmrOptions
RerankOptions = search_service_pb2.RerankOptions

LIMITS = Limits(max_documents=3, max_document_bytes=20, max_query_bytes=10)
BY_YEAR = filter_pb2.Filter(
    eq=filter_pb2.EqualCondition(field="year", value=filter_pb2.Value(int64_value=2024))
)


def read(message: SearchRequest, *, remaining_s: float | None = None) -> Search:
    return read_search(message, LIMITS, now=100.0, remaining_s=remaining_s)


def violations(message: SearchRequest) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        read(message)
    return [(each.field, each.description) for each in raised.value.violations]


# What is read


def test_the_smallest_request_has_all_defaults() -> None:
    assert read(SearchRequest(query="q")) == Search(query="q")


def test_the_defaults_are_those_of_the_contract() -> None:
    told = read(SearchRequest(query="q", mmr=MmrOptions(enabled=True)))
    assert (told.collection, told.limit, told.offset) == ("default", 10, 0)
    assert told.retrieval.mode is Mode.HYBRID
    assert told.retrieval.rrf_k == 60
    assert told.mmr == Mmr(relevance_weight=0.7, stage=MmrStage.BEFORE_RERANK, pool=0)
    assert told.rerank.route == "default"
    assert told.keep_order
    assert not told.with_vectors


def test_everything_that_a_request_says_is_read() -> None:
    message = SearchRequest(
        query="why",
        embedding=[0.0, 1.0],
        collection="papers",
        limit=20,
        offset=40,
        filter=BY_YEAR,
        retrieval=RetrievalOptions(
            mode=search_service_pb2.RETRIEVAL_MODE_VECTOR,
            candidates=200,
            fusion=search_service_pb2.FUSION_ZSCORE,
            rrf_k=10,
            vector_weight=0.5,
            bm25_weight=0.0,
            min_rrf_score=0.0,
            min_similarity=-0.5,
            adaptive_weights=False,
        ),
        mmr=MmrOptions(
            enabled=True,
            relevance_weight=0.0,
            stage=search_service_pb2.MMR_STAGE_AFTER_RERANK,
            pool=30,
        ),
        rerank=RerankOptions(
            enabled=False,
            top_k=7,
            min_score=0.0,
            route="fast",
            timeout=Duration(nanos=500_000_000),
            cache=options_pb2.CacheOptions(mode=options_pb2.CACHE_MODE_BYPASS),
            instruction="judge well",
        ),
        timeout=Duration(seconds=1, nanos=500_000_000),
        failure_policy=options_pb2.FAILURE_POLICY_FAIL,
        labels={"team": "search"},
        explain=True,
        min_version=2**40,
        return_embeddings=True,
        max_response_bytes=65536,
        max_per_group=2,
    )
    assert read(message, remaining_s=2.0) == Search(
        query="why",
        embedding=(0.0, 1.0),
        collection="papers",
        limit=20,
        offset=40,
        filter=Equals("year", 2024),
        retrieval=Retrieval(
            mode=Mode.VECTOR,
            candidates=200,
            fusion=Fusion.ZSCORE,
            rrf_k=10,
            vector_weight=0.5,
            bm25_weight=0.0,
            adaptive_weights=False,
            min_rrf_score=0.0,
            min_similarity=-0.5,
        ),
        mmr=Mmr(relevance_weight=0.0, stage=MmrStage.AFTER_RERANK, pool=30),
        rerank=RerankWish(
            enabled=False,
            top_k=7,
            min_score=0.0,
            route="fast",
            timeout_s=0.5,
            instruction="judge well",
            cache=CacheWish(CacheMode.BYPASS),
        ),
        max_per_group=2,
        timeout_s=1.5,
        deadline=102.0,
        keep_order=False,
        min_version=2**40,
        with_vectors=True,
    )


@pytest.mark.parametrize("query", ["", " \t\n"])
def test_a_blank_query_with_an_embedding_is_a_search_by_vector(query: str) -> None:
    told = read(SearchRequest(query=query, embedding=[1.0]))
    assert told.query == query
    assert told.embedding == (1.0,)


def test_diversity_is_wanted_only_where_it_is_enabled() -> None:
    assert read(SearchRequest(query="q", mmr=MmrOptions(pool=5))).mmr is None


@pytest.mark.parametrize(
    ("mode", "told"), list(zip(range(4), ["HYBRID", *Mode], strict=True))
)
def test_every_mode_has_its_meaning(
    mode: search_service_pb2.RetrievalMode.ValueType, told: str
) -> None:
    message = SearchRequest(query="q", retrieval=RetrievalOptions(mode=mode))
    assert read(message).retrieval.mode == told


@pytest.mark.parametrize(
    ("fusion", "told"), list(zip(range(3), [None, *Fusion], strict=True))
)
def test_every_fusion_has_its_meaning(
    fusion: search_service_pb2.Fusion.ValueType, told: Fusion | None
) -> None:
    message = SearchRequest(query="q", retrieval=RetrievalOptions(fusion=fusion))
    assert read(message).retrieval.fusion is told


@pytest.mark.parametrize(
    ("stage", "told"), list(zip(range(3), ["BEFORE_RERANK", *MmrStage], strict=True))
)
def test_every_stage_of_diversity_has_its_meaning(
    stage: search_service_pb2.MmrStage.ValueType, told: str
) -> None:
    message = SearchRequest(query="q", mmr=MmrOptions(enabled=True, stage=stage))
    told_mmr = read(message).mmr
    assert told_mmr is not None
    assert told_mmr.stage == told


def test_a_weight_of_0_switches_one_leg_off() -> None:
    for options in (
        RetrievalOptions(vector_weight=0.0),
        RetrievalOptions(bm25_weight=0.0),
        RetrievalOptions(vector_weight=0.0, bm25_weight=1e6),
    ):
        read(SearchRequest(query="q", retrieval=options))


def test_what_is_exactly_at_a_limit_is_taken() -> None:
    for message in (
        SearchRequest(query="0123456789", embedding=[1.0] * 8192, limit=1000),
        SearchRequest(query="é" * 5, limit=1, offset=9999),
        SearchRequest(query="q", offset=9990, max_response_bytes=65_536),
        SearchRequest(query="q", max_response_bytes=2**30, min_version=2**63 - 1),
        SearchRequest(
            query="q",
            limit=60,
            offset=40,
            retrieval=RetrievalOptions(
                candidates=100, rrf_k=10_000, min_similarity=1.0, min_rrf_score=1e9
            ),
            mmr=MmrOptions(enabled=True, relevance_weight=1.0, pool=10_000),
            rerank=RerankOptions(top_k=10_000, min_score=1.0, instruction="i" * 8192),
        ),
        SearchRequest(
            query="q",
            retrieval=RetrievalOptions(candidates=10_000, rrf_k=1, min_similarity=-1.0),
            rerank=RerankOptions(
                top_k=1,
                timeout=Duration(nanos=1),
                cache=options_pb2.CacheOptions(ttl=Duration(seconds=86_400)),
            ),
            labels={f"key-{number}": "v" * 128 for number in range(16)},
        ),
    ):
        read(message)


# What is refused

Change: TypeAlias = Callable[[SearchRequest], object]

CHANGES: list[tuple[Change, str, str]] = [
    (lambda m: setattr(m, "query", ""), "query", "not be blank without an embedding"),
    (lambda m: setattr(m, "query", " \t\n"), "query", "must not be blank"),
    (lambda m: setattr(m, "query", "é" * 6), "query", "at most 10 bytes"),
    (
        lambda m: m.embedding.extend([0.0, math.nan]),
        "embedding",
        "must hold finite numbers",
    ),
    (
        lambda m: m.embedding.extend([math.inf, -math.inf]),
        "embedding",
        "must hold finite numbers",
    ),
    (
        lambda m: m.embedding.extend([0.0] * 8193),
        "embedding",
        "at most 8192 dimensions",
    ),
    (lambda m: setattr(m, "limit", -1), "limit", "from 1 to 1000, or 0 for 10"),
    (lambda m: setattr(m, "limit", 1001), "limit", "from 1 to 1000"),
    (lambda m: setattr(m, "offset", -1), "offset", "must not be negative"),
    (lambda m: setattr(m, "offset", 9991), "offset", "limit + offset must be at most"),
    (lambda m: setattr(m, "offset", 2**31 - 1), "offset", "limit + offset must be at"),
    (lambda m: m.filter.SetInParent(), "filter", "must have a condition"),
    (
        lambda m: setattr(m.filter.eq.value, "bool_value", True),
        "filter.eq.field",
        "is required",
    ),
    (lambda m: setattr(m.retrieval, "mode", 9), "retrieval.mode", "must be HYBRID"),
    (
        lambda m: setattr(m.retrieval, "candidates", -1),
        "retrieval.candidates",
        "from 1 to 10000, or 0",
    ),
    (
        lambda m: setattr(m.retrieval, "candidates", 10_001),
        "retrieval.candidates",
        "from 1 to 10000",
    ),
    (
        lambda m: setattr(m.retrieval, "candidates", 9),
        "retrieval.candidates",
        "at least limit + offset, which is 10",
    ),
    (
        lambda m: m.MergeFrom(
            SearchRequest(
                limit=50, offset=50, retrieval=RetrievalOptions(candidates=99)
            )
        ),
        "retrieval.candidates",
        "at least limit + offset, which is 100",
    ),
    (
        lambda m: setattr(m.retrieval, "fusion", 9),
        "retrieval.fusion",
        "must be RRF or ZSCORE",
    ),
    (lambda m: setattr(m.retrieval, "rrf_k", -1), "retrieval.rrf_k", "1 to 10000"),
    (lambda m: setattr(m.retrieval, "rrf_k", 10_001), "retrieval.rrf_k", "0 for 60"),
    *(
        (
            lambda m, name=name, number=number: setattr(m.retrieval, name, number),
            f"retrieval.{name}",
            "must be finite and not negative"
            if name == "min_rrf_score"
            else "must be from 0 to 1000000",
        )
        for name in ("vector_weight", "bm25_weight", "min_rrf_score")
        for number in (-0.01, math.nan, math.inf, -math.inf)
    ),
    (
        lambda m: m.retrieval.MergeFrom(
            RetrievalOptions(vector_weight=0.0, bm25_weight=-0.0)
        ),
        "retrieval.bm25_weight",
        "must not be 0 as vector_weight is",
    ),
    *(
        (
            lambda m, number=number: setattr(m.retrieval, "min_similarity", number),
            "retrieval.min_similarity",
            "must be from -1 to 1",
        )
        for number in (-1.01, 1.01, math.nan, math.inf)
    ),
    *(
        (
            lambda m, number=number: setattr(m.mmr, "relevance_weight", number),
            "mmr.relevance_weight",
            "must be from 0 to 1",
        )
        for number in (-0.01, 1.01, math.nan, math.inf)
    ),
    (lambda m: setattr(m.mmr, "stage", 9), "mmr.stage", "must be BEFORE_RERANK or"),
    (lambda m: setattr(m.mmr, "pool", -1), "mmr.pool", "from 1 to 10000, or 0"),
    (lambda m: setattr(m.mmr, "pool", 10_001), "mmr.pool", "from 1 to 10000"),
    *(
        (
            lambda m, number=number: setattr(m.rerank, "top_k", number),
            "rerank.top_k",
            "from 1 to 10000 when set",
        )
        for number in (0, -5, 10_001)
    ),
    *(
        (
            lambda m, number=number: setattr(m.rerank, "min_score", number),
            "rerank.min_score",
            "must be from 0 to 1",
        )
        for number in (-0.01, 1.01, math.nan, math.inf)
    ),
    (
        lambda m: m.rerank.timeout.FromSeconds(0),
        "rerank.timeout",
        "must be more than 0",
    ),
    (
        lambda m: m.rerank.timeout.FromNanoseconds(-1),
        "rerank.timeout",
        "must be more than 0",
    ),
    (lambda m: setattr(m.rerank.cache, "mode", 9), "rerank.cache.mode", "must be"),
    (
        lambda m: m.rerank.cache.ttl.FromSeconds(0),
        "rerank.cache.ttl",
        "must be more than 0",
    ),
    (
        lambda m: m.rerank.cache.ttl.FromSeconds(86_401),
        "rerank.cache.ttl",
        "at most 24 hours",
    ),
    (
        lambda m: setattr(m.rerank, "instruction", "é" * 4097),
        "rerank.instruction",
        "at most 8192 bytes",
    ),
    (lambda m: m.timeout.FromSeconds(0), "timeout", "must be more than 0"),
    (lambda m: m.timeout.FromSeconds(-1), "timeout", "must be more than 0"),
    (
        lambda m: setattr(m, "failure_policy", 9),
        "failure_policy",
        "must be KEEP_ORDER or FAIL",
    ),
    (
        lambda m: m.labels.update({str(number): "" for number in range(17)}),
        "labels",
        "at most 16 entries",
    ),
    (lambda m: m.labels.update({"Team": ""}), "labels", "every key must match"),
    (lambda m: m.labels.update({"k": "v" * 129}), "labels", "at most 128 characters"),
    (lambda m: setattr(m, "min_version", -1), "min_version", "must not be negative"),
    *(
        (
            lambda m, number=number: setattr(m, "max_response_bytes", number),
            "max_response_bytes",
            "from 65536 to 1073741824, or 0 for 4 MiB",
        )
        for number in (-1, 1, 65_535, 2**30 + 1)
    ),
    (
        lambda m: setattr(m, "max_per_group", -1),
        "max_per_group",
        "must not be negative",
    ),
]


@pytest.mark.parametrize(("change", "field", "words"), CHANGES)
def test_each_mistake_is_named_with_its_path(
    change: Change, field: str, words: str
) -> None:
    message = SearchRequest(query="q")
    # Setting a message to its zero marks it as set.
    message.timeout.FromSeconds(1)
    message.rerank.timeout.FromSeconds(1)
    message.rerank.cache.ttl.FromSeconds(1)
    change(message)
    ((said_field, said),) = violations(message)
    assert said_field == field
    assert words in said


def test_every_mistake_is_named_at_once() -> None:
    message = SearchRequest(
        limit=1001,
        offset=-1,
        filter=filter_pb2.Filter(eq=filter_pb2.EqualCondition()),
        retrieval=RetrievalOptions(candidates=-1, vector_weight=-1),
        mmr=MmrOptions(pool=-1),
        rerank=RerankOptions(top_k=0, cache=options_pb2.CacheOptions(ttl=Duration())),
        timeout=Duration(),
        max_per_group=-1,
    )
    assert [field for field, _ in violations(message)] == [
        "query",
        "limit",
        "offset",
        "filter.eq.field",
        "filter.eq.value",
        "retrieval.candidates",
        "retrieval.vector_weight",
        "mmr.pool",
        "rerank.top_k",
        "rerank.cache.ttl",
        "timeout",
        "max_per_group",
    ]


def test_nothing_else_is_blamed_for_a_limit_that_is_wrong_itself() -> None:
    message = SearchRequest(
        query="q",
        limit=1001,
        offset=9500,
        retrieval=RetrievalOptions(candidates=10),
    )
    assert [field for field, _ in violations(message)] == ["limit"]


def test_a_mistake_in_what_is_switched_off_is_a_mistake() -> None:
    message = SearchRequest(
        query="q",
        mmr=MmrOptions(enabled=False, pool=-1),
        rerank=RerankOptions(enabled=False, top_k=0),
    )
    assert [field for field, _ in violations(message)] == ["mmr.pool", "rerank.top_k"]


def test_a_mistake_is_told_without_quoting_what_was_sent() -> None:
    message = SearchRequest(
        query="the secret query",
        labels={"The Secret": "x"},
        filter=filter_pb2.Filter(
            eq=filter_pb2.EqualCondition(
                value=filter_pb2.Value(string_value="secret" * 200)
            )
        ),
        rerank=RerankOptions(instruction="secret" * 2000),
    )
    assert "ecret" not in str(violations(message))
