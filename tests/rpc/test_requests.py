"""From a `RerankRequest` to plain values, or to every violation in it."""

import math
from collections.abc import Callable

import pytest
from google.protobuf.duration_pb2 import Duration

from gateway.backends.scorer import CacheMode, CacheWish
from gateway.contract import Document, Rerank
from gateway.errors import InvalidRequest
from gateway.rpc.requests import Limits, read_rerank
from rerank.v1 import document_pb2, options_pb2, rerank_service_pb2

RerankRequest = rerank_service_pb2.RerankRequest
LIMITS = Limits(max_documents=3, max_document_bytes=20, max_query_bytes=10)


def read(
    message: rerank_service_pb2.RerankRequest,
    *,
    limits: Limits = LIMITS,
    remaining_s: float | None = None,
) -> Rerank:
    return read_rerank(message, limits, now=100.0, remaining_s=remaining_s)


def violations(
    message: rerank_service_pb2.RerankRequest, limits: Limits = LIMITS
) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as raised:
        read(message, limits=limits)
    return [(each.field, each.description) for each in raised.value.violations]


def good() -> rerank_service_pb2.RerankRequest:
    return RerankRequest(
        query="q",
        documents=[document_pb2.Document(text="a"), document_pb2.Document(text="b")],
    )


# What is read


def test_the_smallest_request_has_all_defaults() -> None:
    assert read(RerankRequest(query="q")) == Rerank(query="q", documents=())


def test_everything_that_a_request_says_is_read() -> None:
    message = RerankRequest(
        query="why",
        documents=[
            document_pb2.Document(
                id="1",
                title="T",
                text="a",
                score=0.5,
                embedding=[1.0, 0.0],
                group_id="g",
            ),
        ],
        query_embedding=[0.0, 1.0],
        route="fast",
        top_k=7,
        top_n=3,
        min_score=0.0,
        timeout=Duration(seconds=1, nanos=500_000_000),
        search_method="vector+mmr",
        instruction="judge well",
        max_per_group=2,
        failure_policy=options_pb2.FAILURE_POLICY_FAIL,
        labels={"team": "search"},
        cache=options_pb2.CacheOptions(
            mode=options_pb2.CACHE_MODE_BYPASS, ttl=Duration(seconds=86_400)
        ),
    )
    assert read(message, remaining_s=2.0) == Rerank(
        query="why",
        documents=(
            Document(id="1", title="T", text="a", group_id="g", embedding=(1.0, 0.0)),
        ),
        query_embedding=(0.0, 1.0),
        route="fast",
        top_k=7,
        top_n=3,
        min_score=0.0,
        timeout_s=1.5,
        deadline=102.0,
        found_by="vector+mmr",
        instruction="judge well",
        max_per_group=2,
        keep_order=False,
        cache=CacheWish(CacheMode.BYPASS, 86_400.0),
    )


@pytest.mark.parametrize(
    "policy",
    [options_pb2.FAILURE_POLICY_UNSPECIFIED, options_pb2.FAILURE_POLICY_KEEP_ORDER],
)
def test_the_order_is_kept_unless_a_caller_says_otherwise(
    policy: options_pb2.FailurePolicy.ValueType,
) -> None:
    assert read(RerankRequest(query="q", failure_policy=policy)).keep_order


def test_blank_documents_are_no_mistake() -> None:
    message = RerankRequest(query="q", documents=[document_pb2.Document()] * 3)
    assert len(read(message).documents) == 3


def test_what_is_exactly_at_a_limit_is_taken() -> None:
    message = RerankRequest(
        query="0123456789",
        documents=[
            document_pb2.Document(title="é" * 5, text="0123456789"),
            document_pb2.Document(text="é" * 10),
            document_pb2.Document(text="🗄" * 5, id="i" * 1024),
        ],
        instruction="i" * 8192,
        labels={f"key-{number}": "v" * 128 for number in range(15)} | {"k" * 64: ""},
        min_score=1.0,
        top_k=1,
        query_embedding=[1.0] * 8192,
    )
    assert len(read(message).documents) == 3


# What is refused


def all_called_the_same(message: rerank_service_pb2.RerankRequest) -> None:
    for document in message.documents:
        document.id = "same"


def vectors_unlike_the_querys(message: rerank_service_pb2.RerankRequest) -> None:
    message.query_embedding.extend([1.0])
    message.documents[0].embedding.extend([1.0, 2.0])


def vectors_unlike_each_other(message: rerank_service_pb2.RerankRequest) -> None:
    message.documents[0].embedding.extend([1.0])
    message.documents[1].embedding.extend([1.0, 2.0])


CHANGES: list[tuple[Callable[[rerank_service_pb2.RerankRequest], object], str, str]] = [
    (lambda m: setattr(m, "query", ""), "query", "must not be blank"),
    (lambda m: setattr(m, "query", " \t\n"), "query", "must not be blank"),
    (lambda m: setattr(m, "query", "x" * 11), "query", "at most 10 bytes"),
    (lambda m: setattr(m, "query", "é" * 6), "query", "at most 10 bytes"),
    (
        lambda m: m.documents.extend([document_pb2.Document()] * 2),
        "documents",
        "there are 4, at most 3 are allowed",
    ),
    (
        lambda m: m.documents.add(title="é" * 6, text="x" * 9),
        "documents[2].text",
        "title and text must have at most 20 bytes",
    ),
    (
        lambda m: m.documents.add(id="i" * 1025),
        "documents[2].id",
        "must have at most 1024 bytes",
    ),
    (
        all_called_the_same,
        "documents[1].id",
        "must be unique, is that of documents[0]",
    ),
    (
        lambda m: m.documents.add(score=math.nan),
        "documents[2].score",
        "must be finite",
    ),
    (
        lambda m: m.documents.add(score=-math.inf),
        "documents[2].score",
        "must be finite",
    ),
    (
        lambda m: m.query_embedding.extend([0.0, math.nan]),
        "query_embedding",
        "must hold finite numbers",
    ),
    (
        lambda m: m.documents[1].embedding.extend([math.inf, -math.inf]),
        "documents[1].embedding",
        "must hold finite numbers",
    ),
    (
        vectors_unlike_the_querys,
        "documents[0].embedding",
        "has 2 dimensions, others have 1",
    ),
    (
        vectors_unlike_each_other,
        "documents[1].embedding",
        "has 2 dimensions, others have 1",
    ),
    (
        lambda m: m.query_embedding.extend([0.0] * 8193),
        "query_embedding",
        "at most 8192 dimensions",
    ),
    (lambda m: setattr(m, "top_k", 0), "top_k", "must be at least 1 when set"),
    (lambda m: setattr(m, "top_k", -5), "top_k", "must be at least 1 when set"),
    (lambda m: setattr(m, "top_n", -1), "top_n", "must not be negative"),
    (
        lambda m: setattr(m, "max_per_group", -1),
        "max_per_group",
        "must not be negative",
    ),
    (lambda m: setattr(m, "min_score", -0.01), "min_score", "from 0 to 1"),
    (lambda m: setattr(m, "min_score", 1.01), "min_score", "from 0 to 1"),
    (lambda m: setattr(m, "min_score", math.nan), "min_score", "from 0 to 1"),
    (lambda m: setattr(m, "min_score", math.inf), "min_score", "from 0 to 1"),
    (
        lambda m: setattr(m, "search_method", "rerank"),
        "search_method",
        "must be one of fulltext, fulltext+mmr, input_order, rrf_hybrid",
    ),
    (
        lambda m: setattr(m, "search_method", "rrf_hybrid+rerank"),
        "search_method",
        "must be one of",
    ),
    (lambda m: setattr(m, "search_method", "Vector"), "search_method", "must be one"),
    (
        lambda m: setattr(m, "instruction", "i" * 8193),
        "instruction",
        "at most 8192 bytes",
    ),
    (
        lambda m: setattr(m, "failure_policy", 9),
        "failure_policy",
        "must be KEEP_ORDER or FAIL",
    ),
    (lambda m: setattr(m.cache, "mode", 9), "cache.mode", "must be DEFAULT, BYPASS"),
    (lambda m: m.cache.ttl.FromSeconds(0), "cache.ttl", "must be more than 0"),
    (lambda m: m.cache.ttl.FromSeconds(86_401), "cache.ttl", "at most 24 hours"),
    (lambda m: m.timeout.FromSeconds(0), "timeout", "must be more than 0"),
    (lambda m: m.timeout.FromSeconds(-1), "timeout", "must be more than 0"),
    (lambda m: m.timeout.FromNanoseconds(-1), "timeout", "must be more than 0"),
    (
        lambda m: m.labels.update({str(number): "" for number in range(17)}),
        "labels",
        "at most 16 entries",
    ),
    (lambda m: m.labels.update({"Team": ""}), "labels", "every key must match"),
    (lambda m: m.labels.update({"k" * 65: ""}), "labels", "every key must match"),
    (lambda m: m.labels.update({"": ""}), "labels", "every key must match"),
    (
        lambda m: m.labels.update({"k": "v" * 129}),
        "labels",
        "values have at most 128 characters",
    ),
]


@pytest.mark.parametrize(("change", "field", "words"), CHANGES)
def test_each_mistake_is_named_with_its_path(
    change: Callable[[rerank_service_pb2.RerankRequest], object],
    field: str,
    words: str,
) -> None:
    message = good()
    # Setting a message to its zero marks it as set.
    message.timeout.FromSeconds(1)
    message.cache.ttl.FromSeconds(1)
    change(message)
    ((said_field, said),) = violations(message)
    assert said_field == field
    assert words in said


def test_every_mistake_is_named_at_once() -> None:
    message = RerankRequest(
        documents=[
            document_pb2.Document(id="a", score=math.nan),
            document_pb2.Document(id="a", text="x" * 21),
        ],
        top_k=0,
        top_n=-1,
        min_score=2,
        search_method="magic",
        timeout=Duration(),
    )
    assert [field for field, _ in violations(message)] == [
        "query",
        "documents[0].score",
        "documents[1].text",
        "documents[1].id",
        "top_k",
        "top_n",
        "min_score",
        "search_method",
        "timeout",
    ]


def test_a_mistake_is_told_without_quoting_what_was_sent() -> None:
    message = RerankRequest(
        query="the secret query",
        documents=[document_pb2.Document(text="the secret text of a document")],
        search_method="the secret method",
        labels={"The Secret": "x"},
    )
    with pytest.raises(InvalidRequest) as raised:
        read(message)
    said = [str(raised.value), *(each.description for each in raised.value.violations)]
    assert "ecret" not in " ".join(said)


def test_the_message_names_the_first_and_counts_the_others() -> None:
    with pytest.raises(InvalidRequest, match=r"^query: must not be blank$"):
        read(RerankRequest())
    with pytest.raises(InvalidRequest, match=r"^query: .* \(and 1 more\)$"):
        read(RerankRequest(top_n=-1))
