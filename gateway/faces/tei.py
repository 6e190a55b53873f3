"""Text Embeddings Inference over HTTP: `/rerank`, after router/src/http of version 1.9."""

from typing import ClassVar, Literal, NotRequired

import grpc
from typing_extensions import TypedDict

from gateway.faces.documents import from_texts
from gateway.faces.face import Asked, Face
from gateway.faces.refusal import INVALID, MISSHAPEN, Refusal
from gateway.faces.shape import RerankBody
from gateway.rpc.violations import Violations
from rerank.v1 import rerank_service_pb2


class Body(RerankBody):
    """A request to `/rerank`."""

    TEXTS: ClassVar[str] = "texts"

    texts: list[str]
    raw_scores: bool | None = None
    return_text: bool | None = None
    truncate: bool | None = None
    """Taken, and without effect: backends cut what is too long for them."""
    truncation_direction: Literal["Left", "Right", "left", "right"] | None = None
    """Likewise."""


class Rank(TypedDict):
    """One text in its new place."""

    index: int
    score: float | None
    """0 to 1, or what the model gave with `raw_scores`; null: nobody scored it."""
    text: NotRequired[str]


Answer = list[Rank]


class Error(TypedDict):
    """What is wrong."""

    error: str
    error_type: str


_KINDS = {
    grpc.StatusCode.RESOURCE_EXHAUSTED: "Overloaded",
    grpc.StatusCode.INVALID_ARGUMENT: "Validation",
    grpc.StatusCode.NOT_FOUND: "Validation",
    grpc.StatusCode.UNAVAILABLE: "Unhealthy",
}


def _ask(body: Body, _: Violations) -> Asked:
    return Asked(
        rerank_service_pb2.RerankRequest(
            query=body.query, documents=from_texts(body.texts)
        ),
        body.texts,
        returns_documents=bool(body.return_text),
        raw_scores=bool(body.raw_scores),
    )


def _write(asked: Asked, response: rerank_service_pb2.RerankResponse) -> Answer:
    ranks: Answer = []
    for index, score in asked.scores(response):
        rank: Rank = {"index": index, "score": score}
        if asked.returns_documents:
            rank["text"] = str(asked.documents[index])
        ranks.append(rank)
    return ranks


def refuse(refusal: Refusal) -> Error:
    """Write an error."""
    return {
        "error": refusal.words,
        "error_type": _KINDS.get(refusal.code, "Backend"),
    }


TEI = Face(
    name="tei",
    body=Body,
    answer=Answer,
    error=Error,
    ask=_ask,
    write=_write,
    refuse=refuse,
    statuses={MISSHAPEN: 422, INVALID: 422},
    fields={"documents": "texts"},
)


class Kind(TypedDict):
    """The labels of a reranker: it has one."""

    id2label: dict[str, str]
    label2id: dict[str, int]


class ModelType(TypedDict):
    """What the model does."""

    reranker: Kind


class Info(TypedDict):
    """What TEI tells of itself; null is what a gateway has not, or does not know."""

    model_id: str | None
    model_sha: str | None
    model_dtype: str | None
    model_type: ModelType
    max_concurrent_requests: int
    max_input_length: int | None
    max_batch_tokens: int | None
    max_batch_requests: int | None
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int | None
    version: str
    sha: str | None
    docker_label: str | None


def info(*, model: str, max_documents: int, max_calls: int, version: str) -> Info:
    """Write `/info`.

    Args:
        model: Of the first backend of the default route; empty: unknown.
        max_documents: In one request.
        max_calls: At once.
        version: Of the gateway.

    """
    return {
        "model_id": model or None,
        "model_sha": None,
        "model_dtype": None,
        "model_type": {
            "reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
        },
        "max_concurrent_requests": max_calls,
        "max_input_length": None,
        "max_batch_tokens": None,
        "max_batch_requests": None,
        "max_client_batch_size": max_documents,
        "auto_truncate": True,
        "tokenization_workers": None,
        "version": version,
        "sha": None,
        "docker_label": None,
    }
