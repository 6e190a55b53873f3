"""Our own unary RPCs as JSON over HTTP, by the Connect protocol: for curl and browsers.

`POST /rerank.v1.RerankService/Rerank` with protobuf's JSON, or with its bytes. Whoever
wants streams speaks gRPC.
"""

import base64
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import NotRequired

import grpc
import orjson
from google.protobuf import descriptor_pool, json_format, message_factory
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import DecodeError, Message
from typing_extensions import TypedDict

from gateway.errors import InvalidRequest, Violation
from gateway.faces.exchange import Written
from gateway.faces.headers import Wishes, truth
from gateway.faces.incoming import JSON, json_in, kind_of
from gateway.faces.message_json import check
from gateway.faces.refusal import Refusal
from gateway.rpc.call_lines import answer_in
from gateway.rpc.guard import unreadable
from gateway.rpc.handlers import behaviour_of
from gateway.rpc.in_process import Context, Handlers
from gateway.rpc.recollection import Recalled
from gateway.rpc.violations import Violations
from rerank.v1 import (
    backend_service_pb2,
    document_service_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

PROTO = "application/proto"
VERSION = "connect-protocol-version"

_SERVED = (
    rerank_service_pb2.DESCRIPTOR,
    search_service_pb2.DESCRIPTOR,
    document_service_pb2.DESCRIPTOR,
    backend_service_pb2.DESCRIPTOR,
)
_STATUSES = {
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.DATA_LOSS: 500,
}
"""By Connect's own table, where it is not the usual."""
_CODES = {grpc.StatusCode.CANCELLED: "canceled"}


def methods() -> Iterator[MethodDescriptor]:
    """Give every RPC that is served: those that stream nothing."""
    for file in _SERVED:
        for service in file.services_by_name.values():
            for method in service.methods:
                if not method.client_streaming and not method.server_streaming:
                    yield method


def path_of(method: MethodDescriptor) -> str:
    """Give where an RPC is called."""
    return f"/{method.containing_service.full_name}/{method.name}"


class Detail(TypedDict):
    """A detail of an error."""

    type: str
    """The full name of a message."""
    value: str
    """Its bytes, in base64 without padding."""
    debug: dict[str, object]
    """The same for people."""


class Error(TypedDict):
    """What is wrong, as Connect writes it."""

    code: str
    message: str
    details: NotRequired[list[Detail]]


class ConnectCall:
    """One request.

    Args:
        handlers: Of all services.
        method: The RPC.

    """

    face = "connect"

    def __init__(self, handlers: Handlers, method: MethodDescriptor) -> None:
        self.method = path_of(method)
        self._message = message_factory.GetMessageClass(method.input_type)
        handler = handlers.of(self.method)
        self._behaviour = behaviour_of(handler)
        self._takes_bytes = handler.request_deserializer is None
        self._kind = JSON
        self._request: Message

    def read(self, body: bytes, headers: Mapping[str, str], wanted: Wishes) -> Message:
        """Read the request."""
        del wanted  # its message says it all
        if headers.get(VERSION, "1") != "1":
            raise InvalidRequest((Violation(VERSION, "must be 1"),))
        self._kind = kind_of(headers, JSON, PROTO)
        if self._kind == PROTO:
            self._request = self._message()
            try:
                self._request.ParseFromString(body)
            except DecodeError as error:
                raise unreadable() from error
        else:
            self._request = _from_json(body, self._message())
        return self._request

    async def serve(self, context: Context) -> tuple[object, Written]:
        """Call the RPC."""
        request: object = self._request
        if self._takes_bytes:
            request = self._request.SerializeToString()
        answer = await self._behaviour(request, context)
        return answer, Written(
            self._written(answer), content_type=self._kind, headers=_truth(answer)
        )

    def _written(self, answer: Message | Recalled) -> bytes:
        if isinstance(answer, Recalled):
            if self._kind == PROTO:
                return answer.data
            answer = rerank_service_pb2.RerankResponse.FromString(answer.data)
        if self._kind == PROTO:
            return answer.SerializeToString()
        return orjson.dumps(json_format.MessageToDict(answer))

    def refuse(self, refusal: Refusal) -> Written:
        """Write an error."""
        code = _CODES.get(refusal.code, refusal.code.name.lower())
        error: Error = {
            "code": code,
            "message": refusal.message,
            "details": [_detail(*each) for each in refusal.details],
        }
        return Written(
            orjson.dumps(error),
            status=refusal.status
            or _STATUSES.get(refusal.code)
            or refusal.status_in({}),
            headers=(
                {"Accept-Post": f"{JSON}, {PROTO}"}
                if refusal.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
                else None
            ),
        )


def _from_json(body: bytes, message: Message) -> Message:
    raw = json_in(body)
    wrong = Violations()
    check(raw, message, wrong)
    wrong.check()
    try:
        return json_format.ParseDict(raw, message)
    except (json_format.ParseError, ValueError) as error:
        # It quotes what it could not read: a time that is none, or a deep structure.
        raise unreadable() from error


def _truth(answer: object) -> dict[str, str]:
    ranked = answer_in(answer)
    return {} if ranked is None else truth(ranked)


def _detail(name: str, value: bytes) -> Detail:
    """Write a detail of a status."""
    kind = descriptor_pool.Default().FindMessageTypeByName(name)
    message = message_factory.GetMessageClass(kind).FromString(value)
    return {
        "type": name,
        "value": base64.b64encode(value).decode().rstrip("="),
        "debug": json_format.MessageToDict(message),
    }
