"""`python -m clients.conformance.record`: write anew what the gateway answers.

For when the contract has grown or the gateway has learned something. Read the difference
before it is committed: the table is what every client is held to.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from clients.conformance.comparing import ALWAYS_VOLATILE, steady
from clients.conformance.launching import HERE, a_gateway
from rerank.v1 import (  # noqa: F401 - known to the pool by being imported
    backend_service_pb2,
    document_service_pb2,
    error_reason_pb2,
    rerank_service_pb2,
    search_service_pb2,
)

_PATIENCE_S = 10.0


def main() -> None:
    """Ask each call of each case, and write the answers beside the questions."""
    with a_gateway() as address, grpc.insecure_channel(address) as channel:
        for path in sorted(HERE.glob("cases/*.json")):
            cases = json.loads(path.read_text("utf-8"))
            for case in cases:
                for call in case["calls"]:
                    record(channel, call)
            path.write_text(json.dumps(cases, indent=2, ensure_ascii=False) + "\n")
            print(f"{path.name}: {len(cases)} cases", file=sys.stderr)


def record(channel: grpc.Channel, call: dict[str, Any]) -> None:
    """Make a call of the table, and put its answer in the place of the recorded one."""
    for known in ("response", "responses", "error"):
        call.pop(known, None)
    method = _method(call["method"])
    volatile = ALWAYS_VOLATILE.union(call.get("volatile", ()))
    try:
        answers = [
            steady(MessageToDict(each), volatile)
            for each in _answers(channel, method, call)
        ]
    except grpc.RpcError as error:
        call["error"] = _error(error)
        return
    if method.server_streaming:
        if any("requestId" in each for each in answers):
            answers.sort(key=lambda each: str(each["requestId"]))
        call["responses"] = answers
    else:
        (call["response"],) = answers


def _answers(
    channel: grpc.Channel, method: MethodDescriptor, call: dict[str, Any]
) -> Iterator[Message]:
    path = f"/{method.containing_service.full_name}/{method.name}"
    request_type = GetMessageClass(method.input_type)
    read = GetMessageClass(method.output_type).FromString
    timeout_s = call.get("timeout_s", _PATIENCE_S)
    requests: list[Any] = call.get("requests") or [call["request"]]
    messages = [ParseDict(each, request_type()) for each in requests]
    write = request_type.SerializeToString
    if method.client_streaming:
        ask: Any = channel.stream_stream(path, write, read)
        answers: Iterable[Message] = ask(iter(messages), timeout=timeout_s)
        yield from answers
    elif method.server_streaming:
        ask = channel.unary_stream(path, write, read)
        yield from ask(messages[0], timeout=timeout_s)
    else:
        ask = channel.unary_unary(path, write, read)
        yield _asked(ask, messages[0], timeout_s=timeout_s, times=call.get("asked", 1))


def _asked(ask: Any, request: Message, *, timeout_s: float, times: int) -> Message:  # noqa: ANN401
    """Ask so many times, as a client does that repeats what failed."""
    for _ in range(times - 1):
        try:
            ask(request, timeout=timeout_s)
        except grpc.RpcError as error:
            code = error.code()
            if code is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            sys.exit("a call that should fail at first did not")
    answer: Message = ask(request, timeout=timeout_s)
    return answer


def _method(path: str) -> MethodDescriptor:
    service, _, name = path.partition("/")
    pool = descriptor_pool.Default()
    method: MethodDescriptor = pool.FindServiceByName(service).methods_by_name[name]
    return method


def _error(error: grpc.RpcError) -> dict[str, Any]:
    code: grpc.StatusCode = error.code()
    told: dict[str, Any] = {"code": code.name}
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    info = error_details_pb2.ErrorInfo()
    bad = error_details_pb2.BadRequest()
    for detail in status.details if status else ():
        if detail.Unpack(info):
            told["reason"] = f"ERROR_REASON_{info.reason}"
            told["metadata"] = dict(info.metadata)
        elif detail.Unpack(bad):
            told["violations"] = [
                {"field": each.field, "description": each.description}
                for each in bad.field_violations
            ]
    return told


if __name__ == "__main__":
    main()
