"""Voyage's `/v1/rerank`, after voyageai-python of July 2026."""

from typing import NotRequired

from typing_extensions import TypedDict

from gateway.faces.documents import from_texts
from gateway.faces.face import Asked, Face
from gateway.faces.refusal import Refusal
from gateway.faces.shape import AtLeastOne, RerankBody
from gateway.rpc.violations import Violations
from rerank.v1 import rerank_service_pb2


class Body(RerankBody):
    """A request to `/v1/rerank`."""

    documents: list[str]
    model: str
    top_k: AtLeastOne | None = None
    """How many results are returned; not how many documents are scored."""
    return_documents: bool | None = None
    truncation: bool | None = None
    """Taken, and without effect: backends cut what is too long for them."""


class Result(TypedDict):
    """One document in its new place."""

    index: int
    relevance_score: float | None
    """0 to 1; null: nobody scored it."""
    document: NotRequired[str]


class Usage(TypedDict):
    """What the vendors behind the gateway say that it cost; 0: they say nothing."""

    total_tokens: int


class Answer(TypedDict):
    """The documents, best first."""

    object: str
    data: list[Result]
    model: str | None
    """Who scored; null: nobody, or it did not say. Voyage's client takes no empty text."""
    usage: Usage


class Error(TypedDict):
    """What is wrong."""

    detail: str


def _ask(body: Body, _: Violations) -> Asked:
    return Asked(
        rerank_service_pb2.RerankRequest(
            query=body.query,
            documents=from_texts(body.documents),
            top_n=body.top_k or 0,
        ),
        body.documents,
        model=body.model,
        returns_documents=bool(body.return_documents),
    )


def _write(asked: Asked, response: rerank_service_pb2.RerankResponse) -> Answer:
    data: list[Result] = []
    for index, score in asked.scores(response):
        result: Result = {"index": index, "relevance_score": score}
        if asked.returns_documents:
            result["document"] = str(asked.documents[index])
        data.append(result)
    return {
        "object": "list",
        "data": data,
        "model": response.execution.model or None,
        "usage": {"total_tokens": response.execution.usage.tokens},
    }


def refuse(refusal: Refusal) -> Error:
    """Write an error."""
    return {"detail": refusal.words}


VOYAGE = Face(
    name="voyage",
    body=Body,
    answer=Answer,
    error=Error,
    ask=_ask,
    write=_write,
    refuse=refuse,
    fields={"top_n": "top_k"},
)
