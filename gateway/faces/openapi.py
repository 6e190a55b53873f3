"""The description of all faces, as an OpenAPI document."""

from collections.abc import Iterable, Mapping
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from pydantic import TypeAdapter

from gateway.faces import bare, connect
from gateway.faces.face import Face
from gateway.faces.headers import (
    CONNECT_TIMEOUT,
    FAILURE_POLICY,
    GRPC_TIMEOUT,
    ROUTE,
    TIMEOUT,
)
from gateway.faces.incoming import JSON
from gateway.faces.looking import Health
from gateway.faces.message_schemas import MessageSchemas, Schema
from gateway.faces.paths import RERANKS, SHARED
from gateway.faces.tei import Info
from gateway.rpc.requests import Limits

_PLACE = "#/components/schemas/"

_ABOUT = """\
The APIs of several vendors, each of which is answered by the gateway's own routes. Fields
that a vendor has and that are not described here are ignored, but by Cohere's version 2,
which refuses them. A score is `null` where nobody gave one: after a fallback, which the
headers tell of, and for a blank document."""

_REFUSALS = {
    400: "The body is no JSON, or the request is not valid.",
    401: "The gateway asks for credentials, and the call has none that are right.",
    403: "The credentials do not allow this call.",
    404: "There is no such route, or no such thing.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    415: "The content type is not one that is taken here.",
    417: "Something is expected that is not done here.",
    422: "The body has not the shape of this API.",
    424: "No backend gave scores, and repeating is useless.",
    429: "There is more to do than can be done.",
    500: "A bug.",
    503: "No backend gave scores; try again.",
    504: "The deadline left no time for an answer.",
}
_REFUSALS_OF_RPCS = {
    **{status: _REFUSALS[status] for status in (400, 401, 403, 404, 408)},
    **{status: _REFUSALS[status] for status in (413, 415, 417)},
    409: "It is there already.",
    **{status: _REFUSALS[status] for status in (429, 500, 503, 504)},
}

_TRUTH = {
    "x-search-method": "Which stages succeeded.",
    "x-fallback-triggered": "`true`: something did less than was asked of it.",
    "x-fallback-reason": "Why a backend gave no scores.",
    "x-rerank-outcome": "What became of the reranking.",
    "x-rerank-route": "The route that was used.",
    "x-rerank-backend": "Who scored.",
    "x-rerank-model": "The model behind the scores.",
    "x-trace-id": "Of a call that is traced.",
}

_WISHES = {
    TIMEOUT: ("How long the caller waits, in seconds.", r"^[1-9][0-9]{0,4}$"),
    ROUTE: (
        "The route; without: the one that `model` names, else `default`.",
        "^[ -~]*$",
    ),
    FAILURE_POLICY: (
        "What is wanted when nobody scores.",
        "^(keep_order|error)$",
    ),
}
_WISHES_OF_RPCS = {
    connect.VERSION: ("The version of Connect's protocol.", "^1$"),
    CONNECT_TIMEOUT: ("How long the caller waits, in ms.", "^[1-9][0-9]{4,8}$"),
    GRPC_TIMEOUT: ("The same as gRPC has it.", "^[1-9][0-9]{1,4}S$"),
}


def document(*, version: str, limits: Limits) -> dict[str, Any]:
    """Describe everything.

    Args:
        version: Of the gateway.
        limits: How much a request may bring.

    """
    shapes = _Shapes(limits)
    messages = MessageSchemas(_PLACE)
    paths: dict[str, Any] = {
        path: {"post": _rerank(path, face, shapes)}
        for path, (face, _) in RERANKS.items()
    }
    for method in connect.methods():
        paths[connect.path_of(method)] = {"post": _rpc(method, messages, shapes)}
    for path, kind in _LOOKED_AT.items():
        said = shapes.of(kind, "") if kind else {"type": "object"}
        error = shapes.of(bare.Error, _prefix(bare.BARE))
        paths[path] = {"get": _look(path, said, error)}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "rerank-gateway",
            "version": version,
            "description": _ABOUT,
        },
        "paths": paths,
        # Whether credentials are asked for is a matter of the configuration.
        "security": [{}, {"bearer": []}],
        "components": {
            "schemas": {**shapes.found, **messages.found},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


_LOOKED_AT: dict[str, Any] = {
    "/health": Health,
    "/tei/health": Health,
    "/info": Info,
    "/tei/info": Info,
    "/openapi.json": None,
}


class _Shapes:
    """Describes the types that bodies have, each once."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.found: dict[str, Schema] = {}

    def body(self, face: Face) -> Schema:
        described = self.of(face.body, _prefix(face))
        name = described["$ref"].removeprefix(_PLACE)
        documents = self.found[name]["properties"][face.body.TEXTS]
        documents["maxItems"] = self._limits.max_documents
        return described

    def of(self, kind: Any, prefix: str) -> Schema:  # noqa: ANN401 - any type there is
        """Describe a type; gives where that is."""
        schema = TypeAdapter(kind).json_schema(
            ref_template=f"{_PLACE}{prefix}{{model}}"
        )
        for name, part in schema.pop("$defs", {}).items():
            self.found[prefix + name] = part
        if "$ref" in schema or schema.get("type") == "array":
            return schema
        name = f"{prefix}{schema['title']}"
        self.found[name] = schema
        return {"$ref": f"{_PLACE}{name}"}


def _prefix(face: Face) -> str:
    return "".join(part.capitalize() for part in face.name.split("-"))


def _rerank(path: str, face: Face, shapes: _Shapes) -> dict[str, Any]:
    faces = [face, *SHARED] if face.name == "bare" else [face]
    error = _one_of(shapes.of(each.error, _prefix(each)) for each in faces)
    return {
        "operationId": f"rerank{path.replace('/', '-')}",
        "summary": f"Rerank, as {face.name} does",
        "parameters": _parameters(_WISHES),
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": _one_of(shapes.body(each) for each in faces)}},
        },
        "responses": {
            "200": {
                "description": "The documents, best first.",
                "headers": _headers(),
                "content": {
                    JSON: {
                        "schema": _one_of(
                            shapes.of(each.answer, _prefix(each)) for each in faces
                        )
                    }
                },
            },
            **_errors(_REFUSALS, error),
        },
    }


def _rpc(
    method: MethodDescriptor, messages: MessageSchemas, shapes: _Shapes
) -> dict[str, Any]:
    error = shapes.of(connect.Error, "Connect")
    return {
        "operationId": f"{method.containing_service.name}-{method.name}",
        "summary": f"{method.containing_service.full_name}/{method.name}",
        "parameters": _parameters(_WISHES_OF_RPCS),
        "requestBody": {
            "required": True,
            "content": {JSON: {"schema": messages.of(method.input_type)}},
        },
        "responses": {
            "200": {
                "description": "The answer.",
                "headers": _headers(),
                "content": {JSON: {"schema": messages.of(method.output_type)}},
            },
            **_errors(_REFUSALS_OF_RPCS, error),
        },
    }


def _look(path: str, said: Schema, error: Schema) -> dict[str, Any]:
    return {
        "operationId": f"look{path.replace('/', '-').replace('.', '-')}",
        "responses": {
            "200": {
                "description": "What there is to say.",
                "content": {JSON: {"schema": said}},
            },
            "401": {
                "description": _REFUSALS[401],
                "content": {JSON: {"schema": error}},
            },
        },
    }


def _one_of(schemas: Iterable[Schema]) -> Schema:
    every = list(schemas)
    return every[0] if len(every) == 1 else {"anyOf": every}


def _parameters(wishes: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "header",
            "required": False,
            "description": about,
            "schema": {"type": "string", "pattern": pattern},
        }
        for name, (about, pattern) in wishes.items()
    ]


def _headers() -> dict[str, Any]:
    return {
        name: {"description": about, "required": False, "schema": {"type": "string"}}
        for name, about in _TRUTH.items()
    }


def _errors(statuses: Mapping[int, str], error: Schema) -> dict[str, Any]:
    return {
        str(status): {"description": about, "content": {JSON: {"schema": error}}}
        for status, about in statuses.items()
    } | {
        "405": {
            "description": "The path is asked with another method.",
            "content": {JSON: {"schema": {"type": "object"}}},
        }
    }
