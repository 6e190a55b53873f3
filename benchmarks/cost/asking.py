"""One call beforehand, which is looked at: what is measured has to be what it is called."""

from dataclasses import replace
from pathlib import Path

import grpc

from benchmarks.cost.load import Target
from benchmarks.cost.native import BUILT
from benchmarks.cost.payloads import (
    MIN_SCORE_FIELD,
    QUERY_FIELD,
    Payload,
    rerank_request,
    write,
)
from benchmarks.cost.processes import Running
from rerank.v1 import execution_pb2, rerank_service_pb2, rerank_service_pb2_grpc

_LARGEST = 1 << 28
_TIMEOUT_S = 30


def same(server: Running, payload: Payload) -> Target:
    """Ask the same thing each time."""
    path = BUILT / "requests" / f"{payload.documents}x{payload.characters}"
    request = rerank_request(payload).SerializeToString()
    return Target(server.address, write(path, [request]), documents=payload.documents)


def other_options(server: Running, payload: Payload) -> Target:
    """Ask for the same scores with a threshold that nobody has had yet."""
    return replace(same(server, payload), double_field=MIN_SCORE_FIELD)


def other_query(server: Running, payload: Payload) -> Target:
    """Ask what nobody has asked yet."""
    return replace(same(server, payload), text_field=QUERY_FIELD)


def past_memory(server: Running, payload: Payload) -> Target:
    """Ask what is neither looked up nor remembered."""
    path = BUILT / "requests" / f"{payload.documents}x{payload.characters}-bypass"
    request = rerank_request(payload, bypass=True).SerializeToString()
    return Target(server.address, write(path, [request]), documents=payload.documents)


def answer(
    address: str, request: rerank_service_pb2.RerankRequest, ca: Path | None = None
) -> rerank_service_pb2.RerankResponse:
    """Ask once; over TLS, if somebody is named whom to trust."""
    options = [("grpc.max_receive_message_length", _LARGEST)]
    with (
        grpc.insecure_channel(address, options=options)
        if ca is None
        else grpc.secure_channel(
            address, grpc.ssl_channel_credentials(ca.read_bytes()), options
        )
    ) as channel:
        stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
        found: rerank_service_pb2.RerankResponse = stub.Rerank(
            request, timeout=_TIMEOUT_S
        )
    return found


def check(server: Running, payload: Payload, ca: Path | None = None) -> None:
    """See that a gateway reranks all, and then remembers all.

    Raises:
        RuntimeError: It does not.

    """
    check_reranks(server, payload, ca)
    said = answer(server.address, rerank_request(payload), ca)
    if said.execution.cached_count != payload.documents:
        message = "the gateway does not remember what is to be measured"
        raise RuntimeError(message)


def check_reranks(server: Running, payload: Payload, ca: Path | None = None) -> None:
    """See that a gateway reranks all.

    Raises:
        RuntimeError: It does not.

    """
    said = answer(server.address, rerank_request(payload), ca)
    reranked = said.execution.outcome == execution_pb2.OUTCOME_RERANKED
    if not reranked or said.execution.scored_count != payload.documents:
        message = f"the answer is not what is to be measured: {said.message}"
        raise RuntimeError(message)
