"""The bare paths, which several vendors share: `/rerank` and `/v1/rerank`.

What a request has decides whose it is, where that is safe: `texts` is TEI's word, and
`top_k` Voyage's. The rest is what Cohere v1, Jina, vLLM, Infinity and llama.cpp have in
common, and its answers and errors have what any of their readers looks for.
"""

from collections.abc import Mapping
from time import time
from typing import Any
from uuid import uuid4

from pydantic import ConfigDict
from typing_extensions import TypedDict

from gateway.faces import cohere, jina
from gateway.faces.documents import from_texts_or_objects
from gateway.faces.face import Asked, Face
from gateway.faces.refusal import Refusal
from gateway.faces.shape import (
    TEXT_UNLESS_NAMED,
    AtLeastNone,
    RerankBody,
    TextOrAnyObject,
)
from gateway.faces.tei import TEI
from gateway.faces.voyage import VOYAGE
from gateway.rpc.violations import Violations
from rerank.v1 import rerank_service_pb2


class Body(RerankBody):
    """A request that may be of several vendors."""

    model_config = ConfigDict(json_schema_extra=TEXT_UNLESS_NAMED)

    documents: list[TextOrAnyObject]
    model: str | None = None
    top_n: AtLeastNone | None = None
    """0 is all, as with vLLM."""
    rank_fields: list[str] | None = None
    return_documents: bool | None = None
    raw_scores: bool | None = None
    """Infinity's: what the model gave, on its own scale."""


class Answer(TypedDict):
    """The documents, best first, and what each vendor says beside them."""

    id: str
    object: str
    created: int
    model: str | None
    """Who scored; null: nobody, or it did not say."""
    results: list[jina.Result]
    usage: jina.Usage
    meta: cohere.Meta


class ErrorObject(TypedDict):
    """What is wrong, as OpenAI's readers want it."""

    message: str
    type: str
    param: str | None
    code: int


class Error(TypedDict):
    """What is wrong, as each vendor's readers want it."""

    message: str
    detail: str
    error: ErrorObject


def _ask(body: Body, wrong: Violations) -> Asked:
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
        raw_scores=bool(body.raw_scores),
    )


def _write(asked: Asked, response: rerank_service_pb2.RerankResponse) -> Answer:
    return {
        "id": f"rerank-{uuid4().hex}",
        "object": "list",
        "created": int(time()),
        "model": response.execution.model or None,
        "results": jina.results(asked, response),
        "usage": jina.usage(response),
        "meta": cohere.meta(response, "1"),
    }


def refuse(refusal: Refusal) -> Error:
    """Write an error."""
    words = refusal.words
    return {"message": words, "detail": words, "error": error_object(refusal)}


def error_object(refusal: Refusal) -> ErrorObject:
    """Write an error as OpenAI does."""
    return {
        "message": refusal.words,
        "type": refusal.code.name.lower(),
        "param": refusal.violations[0].field if refusal.violations else None,
        "code": refusal.status_in({}),
    }


BARE = Face(
    name="bare",
    body=Body,
    answer=Answer,
    error=Error,
    ask=_ask,
    write=_write,
    refuse=refuse,
)


def face_of(raw: Mapping[str, Any]) -> Face:
    """Tell whose a request to a bare path is."""
    if "texts" in raw and "documents" not in raw:
        return TEI
    if "top_k" in raw and "top_n" not in raw:
        return VOYAGE
    return BARE
