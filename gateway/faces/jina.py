"""Jina's `/v1/rerank`, after api.jina.ai/openapi.json of 2026."""

from typing import NotRequired

from pydantic import JsonValue
from typing_extensions import TypedDict

from gateway.faces.documents import as_object, from_texts_or_objects
from gateway.faces.face import Asked, Face
from gateway.faces.refusal import MISSHAPEN, Refusal
from gateway.faces.shape import AtLeastOne, RerankBody, TextOrObject
from gateway.rpc.violations import Violations
from rerank.v1 import rerank_service_pb2


class Body(RerankBody):
    """A request to `/v1/rerank`."""

    model: str
    documents: list[TextOrObject]
    top_n: AtLeastOne | None = None
    return_documents: bool | None = None
    """Without: they are returned."""


class Result(TypedDict):
    """One document in its new place."""

    index: int
    relevance_score: float | None
    """0 to 1; null: nobody scored it."""
    document: NotRequired[dict[str, JsonValue]]


class Usage(TypedDict):
    """What the vendors behind the gateway say that it cost; 0: they say nothing."""

    total_tokens: int
    prompt_tokens: int


class Answer(TypedDict):
    """The documents, best first."""

    model: str | None
    """Who scored; null: nobody, or it did not say."""
    object: str
    usage: Usage
    results: list[Result]


class Error(TypedDict):
    """What is wrong."""

    detail: str


def _ask(body: Body, wrong: Violations) -> Asked:
    return Asked(
        rerank_service_pb2.RerankRequest(
            query=body.query,
            documents=from_texts_or_objects(body.documents, wrong),
            top_n=body.top_n or 0,
        ),
        body.documents,
        model=body.model,
        returns_documents=body.return_documents is not False,
    )


def _write(asked: Asked, response: rerank_service_pb2.RerankResponse) -> Answer:
    return {
        "model": response.execution.model or None,
        "object": "list",
        "usage": usage(response),
        "results": results(asked, response),
    }


def results(asked: Asked, response: rerank_service_pb2.RerankResponse) -> list[Result]:
    """Write the documents, best first."""
    written: list[Result] = []
    for index, score in asked.scores(response):
        result: Result = {"index": index, "relevance_score": score}
        if asked.returns_documents:
            result["document"] = as_object(asked.documents[index])
        written.append(result)
    return written


def usage(response: rerank_service_pb2.RerankResponse) -> Usage:
    """Write what it cost, in tokens."""
    tokens = response.execution.usage.tokens
    return {"total_tokens": tokens, "prompt_tokens": tokens}


def refuse(refusal: Refusal) -> Error:
    """Write an error."""
    return {"detail": refusal.words}


JINA = Face(
    name="jina",
    body=Body,
    answer=Answer,
    error=Error,
    ask=_ask,
    write=_write,
    refuse=refuse,
    statuses={MISSHAPEN: 422},
)
