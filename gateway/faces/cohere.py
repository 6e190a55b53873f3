"""Cohere's `/v1/rerank` and `/v2/rerank`, after cohere-openapi.yaml of August 2026."""

from typing import Annotated, NotRequired
from uuid import uuid4

from pydantic import ConfigDict, Field, JsonValue
from typing_extensions import TypedDict

from gateway.faces.documents import as_object, from_texts, from_texts_or_objects
from gateway.faces.face import Asked, Face
from gateway.faces.refusal import MISSHAPEN, Refusal
from gateway.faces.shape import (
    TEXT_UNLESS_NAMED,
    WHOLE,
    AtLeastOne,
    RerankBody,
    TextOrAnyObject,
    Whole,
)
from gateway.rpc.violations import Violations
from rerank.v1 import rerank_service_pb2


class V1Body(RerankBody):
    """A request to `/v1/rerank`."""

    model_config = ConfigDict(json_schema_extra=TEXT_UNLESS_NAMED)

    documents: list[TextOrAnyObject]
    model: str | None = None
    top_n: AtLeastOne | None = None
    rank_fields: list[str] | None = None
    """Which fields of an object are read, in this order; without: its `text`."""
    return_documents: bool | None = None
    max_chunks_per_doc: Whole | None = None
    """Taken, and without effect: routes say how long documents are split."""


class V2Body(RerankBody):
    """A request to `/v2/rerank`, which refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")

    model: str
    documents: list[str]
    top_n: AtLeastOne | None = None
    max_tokens_per_doc: Whole | None = None
    """Taken, and without effect: backends cut what is too long for them."""
    priority: Annotated[int, Field(ge=0, le=999), WHOLE] | None = None
    """Taken, and without effect."""


class ApiVersion(TypedDict):
    """Which API answered."""

    version: str


class BilledUnits(TypedDict):
    """What the vendors behind the gateway say that it cost."""

    search_units: NotRequired[float]
    input_tokens: NotRequired[int]


class Meta(TypedDict):
    """What there is to say beside the results."""

    api_version: ApiVersion
    billed_units: NotRequired[BilledUnits]
    warnings: NotRequired[list[str]]


class Result(TypedDict):
    """One document in its new place."""

    index: int
    relevance_score: float | None
    """0 to 1; null: nobody scored it."""
    document: NotRequired[dict[str, JsonValue]]


class Answer(TypedDict):
    """The documents, best first."""

    id: str
    results: list[Result]
    meta: Meta


class Error(TypedDict):
    """What is wrong."""

    message: str


def _ask_v1(body: V1Body, wrong: Violations) -> Asked:
    return Asked(
        rerank_service_pb2.RerankRequest(
            query=body.query,
            documents=from_texts_or_objects(
                body.documents, wrong, rank_fields=body.rank_fields or ()
            ),
            top_n=body.top_n or 0,
        ),
        body.documents,
        model=body.model or "",
        returns_documents=bool(body.return_documents),
    )


def _ask_v2(body: V2Body, _: Violations) -> Asked:
    return Asked(
        rerank_service_pb2.RerankRequest(
            query=body.query,
            documents=from_texts(body.documents),
            top_n=body.top_n or 0,
        ),
        body.documents,
        model=body.model,
    )


def write(
    asked: Asked, response: rerank_service_pb2.RerankResponse, *, version: str
) -> Answer:
    """Write an answer.

    Args:
        asked: What it is the answer to.
        response: The answer.
        version: Of the API, `1` or `2`.

    """
    results: list[Result] = []
    for index, score in asked.scores(response):
        result: Result = {"index": index, "relevance_score": score}
        if asked.returns_documents:
            result["document"] = as_object(asked.documents[index])
        results.append(result)
    return {"id": str(uuid4()), "results": results, "meta": meta(response, version)}


def meta(response: rerank_service_pb2.RerankResponse, version: str) -> Meta:
    """Say what it cost, as far as somebody told, and what did not go as planned."""
    written: Meta = {"api_version": {"version": version}}
    usage = response.execution.usage
    billed: BilledUnits = {}
    if usage.search_units:
        billed["search_units"] = usage.search_units
    if usage.tokens:
        billed["input_tokens"] = usage.tokens
    if billed:
        written["billed_units"] = billed
    if response.fallback_triggered:
        written["warnings"] = [response.message]
    return written


def refuse(refusal: Refusal) -> Error:
    """Write an error."""
    return {"message": refusal.words}


_STATUSES = {MISSHAPEN: 422}

V1 = Face(
    name="cohere-v1",
    body=V1Body,
    answer=Answer,
    error=Error,
    ask=_ask_v1,
    write=lambda asked, response: write(asked, response, version="1"),
    refuse=refuse,
    statuses=_STATUSES,
)
V2 = Face(
    name="cohere-v2",
    body=V2Body,
    answer=Answer,
    error=Error,
    ask=_ask_v2,
    write=lambda asked, response: write(asked, response, version="2"),
    refuse=refuse,
    statuses=_STATUSES,
)
