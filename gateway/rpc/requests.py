"""From a `RerankRequest` to plain values, or to every violation in it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat

from gateway.contract import DEFAULT_ROUTE, Document, Rerank
from gateway.ranking.method import INPUT_ORDER, RETRIEVED
from gateway.rows import rows
from gateway.rpc.options import (
    check_failure_policy,
    check_instruction,
    check_labels,
    check_vector,
    kept_labels,
    positive_s,
    read_cache,
)
from gateway.rpc.violations import Violations, bytes_over
from rerank.v1 import document_pb2, options_pb2, rerank_service_pb2

_MAX_ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of everything a request may bring."""

    max_documents: int
    max_document_bytes: int
    max_query_bytes: int
    labels: tuple[str, ...] = ()
    """Those of its labels that are kept, in order; of the others nothing is."""


def read_rerank(
    message: rerank_service_pb2.RerankRequest,
    limits: Limits,
    *,
    now: float,
    remaining_s: float | None,
    caller: str = "",
) -> Rerank:
    """Check a request and take it apart.

    Args:
        message: As it came.
        limits: What the server takes.
        now: Event-loop time.
        remaining_s: What is left of the caller's gRPC deadline; None: it has none.
        caller: Who asks.

    Raises:
        InvalidRequest: With every violation.

    """
    wrong = Violations()
    _check_query(message.query, limits, wrong)
    messages = list(message.documents)  # each of them is made when it is asked for
    documents = _documents(messages)
    if len(documents) > limits.max_documents:
        wrong.add(
            "documents",
            f"there are {len(documents)}, at most {limits.max_documents} are allowed",
        )
    _check_scores(messages, wrong)
    _check_documents(documents, limits, wrong)
    _check_embeddings(message, documents, wrong)
    _check_options(message, wrong)
    cache = read_cache("cache", message.cache, wrong)
    check_labels("labels", message.labels, wrong)
    timeout_s = None
    if message.HasField("timeout"):
        timeout_s = positive_s("timeout", message.timeout, wrong)
    wrong.check()
    return Rerank(
        query=message.query,
        documents=tuple(documents),
        query_embedding=tuple(message.query_embedding) or None,
        route=message.route or DEFAULT_ROUTE,
        top_k=message.top_k if message.HasField("top_k") else None,
        top_n=message.top_n,
        min_score=message.min_score if message.HasField("min_score") else None,
        max_per_group=message.max_per_group,
        timeout_s=timeout_s,
        deadline=None if remaining_s is None else now + remaining_s,
        found_by=message.search_method or INPUT_ORDER,
        instruction=message.instruction,
        cache=cache,
        caller=caller,
        keep_order=message.failure_policy != options_pb2.FAILURE_POLICY_FAIL,
        labels=kept_labels(message.labels, limits.labels),
    )


def _documents(messages: Sequence[document_pb2.Document]) -> list[Document]:
    """Take documents apart, field by field: half as long as one after the other."""
    vectors = [each.embedding for each in messages]
    return list(
        rows(
            Document,
            [each.id for each in messages],
            [each.title for each in messages],
            [each.text for each in messages],
            [each.group_id for each in messages],
            # To make a hundred empty tuples takes as long as to read all texts.
            [tuple(each) or None for each in vectors] if any(vectors) else repeat(None),
        )
    )


def _check_query(query: str, limits: Limits, wrong: Violations) -> None:
    if not query.strip():
        wrong.add("query", "must not be blank")
    if bytes_over(limits.max_query_bytes, query):
        wrong.add("query", f"must have at most {limits.max_query_bytes} bytes of UTF-8")


def _check_scores(messages: Sequence[document_pb2.Document], wrong: Violations) -> None:
    scores = [each.score for each in messages]  # one that is not set reads as 0
    if all(map(math.isfinite, scores)):
        return
    for place, score in enumerate(scores):
        if not math.isfinite(score):
            wrong.add(f"documents[{place}].score", "must be finite")


def _check_documents(
    documents: Sequence[Document], limits: Limits, wrong: Violations
) -> None:
    if _are_short_and_unique(documents, limits):
        return  # as nearly always: to look for what is wrong takes a while
    first_use: dict[str, int] = {}
    for place, document in enumerate(documents):
        if bytes_over(limits.max_document_bytes, document.title, document.text):
            wrong.add(
                f"documents[{place}].text",
                f"title and text must have at most {limits.max_document_bytes} bytes"
                " of UTF-8",
            )
        if document.id:
            if bytes_over(_MAX_ID_BYTES, document.id):
                wrong.add(
                    f"documents[{place}].id", f"must have at most {_MAX_ID_BYTES} bytes"
                )
            first = first_use.setdefault(document.id, place)
            if first != place:
                wrong.add(
                    f"documents[{place}].id",
                    f"must be unique, is that of documents[{first}]",
                )


def _are_short_and_unique(documents: Sequence[Document], limits: Limits) -> bool:
    """Tell whether all is surely right with texts and ids, without looking closely."""
    if not documents:
        return True
    given, titles, texts, *_ = zip(*documents, strict=True)
    ids = [*filter(None, given)]
    longest = max(map(len, titles)) + max(map(len, texts))
    # A character has at most four bytes.
    return (
        longest * 4 <= limits.max_document_bytes
        and len(set(ids)) == len(ids)
        and max(map(len, ids), default=0) * 4 <= _MAX_ID_BYTES
    )


def _check_embeddings(
    message: rerank_service_pb2.RerankRequest,
    documents: Sequence[Document],
    wrong: Violations,
) -> None:
    dimension = len(message.query_embedding)
    _check_embedding("query_embedding", message.query_embedding, dimension, wrong)
    for place, vector in enumerate([each.embedding for each in documents]):
        if vector:
            dimension = dimension or len(vector)
            path = f"documents[{place}].embedding"
            _check_embedding(path, vector, dimension, wrong)


def _check_embedding(
    path: str, vector: Sequence[float], dimension: int, wrong: Violations
) -> None:
    if len(vector) != dimension:
        wrong.add(path, f"has {len(vector)} dimensions, others have {dimension}")
    else:
        check_vector(path, vector, wrong)


def _check_options(
    message: rerank_service_pb2.RerankRequest, wrong: Violations
) -> None:
    if message.HasField("top_k") and message.top_k < 1:
        wrong.add("top_k", "must be at least 1 when set")
    for field in ("top_n", "max_per_group"):
        if getattr(message, field) < 0:
            wrong.add(field, "must not be negative; 0 sets no bound")
    # The comparison is false for NaN, too.
    if message.HasField("min_score") and not 0.0 <= message.min_score <= 1.0:
        wrong.add("min_score", "must be from 0 to 1")
    if message.search_method and message.search_method not in RETRIEVED:
        wrong.add("search_method", f"must be one of {', '.join(sorted(RETRIEVED))}")
    check_instruction("instruction", message.instruction, wrong)
    check_failure_policy("failure_policy", message.failure_policy, wrong)
