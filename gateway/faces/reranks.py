"""A vendor's request to rerank, served as a call of `rerank.v1.RerankService/Rerank`."""

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import InvalidRequest
from gateway.faces.exchange import Written
from gateway.faces.face import Asked, Face
from gateway.faces.headers import Wishes, truth
from gateway.faces.incoming import JSON, json_in, kind_of
from gateway.faces.reading import read, renamed
from gateway.faces.refusal import Refusal
from gateway.rpc.handlers import behaviour_of
from gateway.rpc.in_process import Context, Handlers
from gateway.rpc.recollection import Recalled
from gateway.rpc.requests import Limits
from rerank.v1 import options_pb2, rerank_service_pb2

METHOD = "/rerank.v1.RerankService/Rerank"

FaceOf = Callable[[Mapping[str, Any]], Face]
"""Tells whose a request is, where a path does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """What faces know of the configuration."""

    names: Container[str]
    """Those that the caller may use: a `model` that is one of these is taken for it."""
    bounded: frozenset[str]
    """Those that say themselves how many documents are scored."""
    keep_order: bool
    """Answer with the order received where nobody scores, unless a caller says."""
    default: str
    """The one that a request without a name goes to."""


class VendorRerank:
    """One request.

    Args:
        handlers: Of all services.
        routes: Which there are.
        limits: How much a request may bring.
        face: Whose API it is; until it was read, where `face_of` tells.
        face_of: Tells whose a request is; None: its path does.

    """

    method = METHOD

    def __init__(
        self,
        handlers: Handlers,
        routes: Routes,
        limits: Limits,
        face: Face,
        face_of: FaceOf | None = None,
    ) -> None:
        self._rerank = behaviour_of(handlers.of(METHOD))
        self._routes = routes
        self._limits = limits
        self._face = face
        self._face_of = face_of
        self.face = face.name
        self._asked: Asked

    def read(
        self, body: bytes, headers: Mapping[str, str], wanted: Wishes
    ) -> rerank_service_pb2.RerankRequest:
        """Read the request."""
        kind_of(headers, JSON)
        raw = json_in(body)
        if self._face_of:
            self._face = self._face_of(raw)
        asked = self._asked = read(self._face, raw, self._limits)
        message = asked.message
        named = asked.model if asked.model in self._routes.names else ""
        message.route = wanted.route or named
        route = message.route or self._routes.default
        # A vendor scores every document, and an operator may say otherwise.
        if message.documents and route not in self._routes.bounded:
            message.top_k = len(message.documents)
        keep_order = wanted.keep_order
        if keep_order is None:
            keep_order = self._routes.keep_order
        if not keep_order:
            message.failure_policy = options_pb2.FAILURE_POLICY_FAIL
        return message

    async def serve(self, context: Context) -> tuple[object, Written]:
        """Rerank."""
        asked = self._asked
        try:
            # As bytes, so that it may be an answer that is remembered as a whole.
            answer = await self._rerank(asked.message.SerializeToString(), context)
        except InvalidRequest as error:
            raise InvalidRequest(
                renamed(self._face, asked, error.violations)
            ) from error
        response = answer
        if isinstance(answer, Recalled):
            response = rerank_service_pb2.RerankResponse.FromString(answer.data)
        written = Written(
            orjson.dumps(self._face.write(asked, response)), headers=truth(response)
        )
        return answer, written

    def refuse(self, refusal: Refusal) -> Written:
        """Write an error."""
        return Written(
            orjson.dumps(self._face.refuse(refusal)),
            status=refusal.status_in(self._face.statuses),
        )
