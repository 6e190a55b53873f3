"""`rerank.v1.RerankService`."""

import asyncio
import time
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from grpc.aio import ServicerContext

from gateway.contract import Rerank, Reranked
from gateway.identity.caller import caller
from gateway.observing import Observer, trace_id
from gateway.reranking import Reranking
from gateway.rpc.callers import caller_of
from gateway.rpc.debugging import asks_for_debug
from gateway.rpc.guard import unreadable
from gateway.rpc.recollection import Counted, Recalled, Recollection
from gateway.rpc.requests import Limits, read_rerank
from gateway.rpc.rerank_batch import RerankBatch
from gateway.rpc.responses import write_rerank
from rerank.v1 import rerank_service_pb2

SERVICE = "rerank.v1.RerankService"


class RerankService:
    """Orders the documents that a caller brings, one request a call.

    Args:
        reranking: The use case.
        limits: How much a request may bring.
        answers: Those that may be given again as they are.
        observer: Counts these.

    """

    def __init__(
        self,
        *,
        reranking: Reranking,
        limits: Limits,
        answers: Recollection,
        observer: Observer,
    ) -> None:
        self._reranking = reranking
        self._limits = limits
        self._answers = answers
        self._observer = observer

    async def rerank(
        self, data: bytes, context: "ServicerContext[Any, Any]"
    ) -> rerank_service_pb2.RerankResponse | Recalled:
        """Order the documents of one request, given as it came over the wire."""
        began = time.perf_counter()
        remaining_s = context.time_remaining()
        # Where somebody looks closely, all is done that there is to see.
        if trace_id.get() or asks_for_debug(tuple(context.invocation_metadata() or ())):
            key = None
        else:
            key = self._answers.key(data, scope=caller.get().scope)
            recalled = self._answers.recall(
                key,
                duration_s=lambda: time.perf_counter() - began,
                remaining_s=remaining_s,
            )
            if recalled:
                return recalled
        request = _read(data)
        ask = read_rerank(
            request,
            self._limits,
            now=asyncio.get_running_loop().time(),
            remaining_s=remaining_s,
            caller=caller_of(context),
        )
        reranked = await self._reranking.rerank(ask)
        response = write_rerank(request, reranked)
        if key and reranked.again:
            self._answers.remember(
                key, reranked, response, self._counting(ask, reranked)
            )
        return response

    def _counting(self, ask: Rerank, reranked: Reranked) -> Counted:
        count = self._observer.repeated(ask, reranked)
        budget_s = self._reranking.budget(ask)
        return lambda took_s, remaining_s: count(took_s, budget_s(remaining_s))


def add_rerank_service(
    service: RerankService, batch: RerankBatch, server: grpc.aio.Server
) -> None:
    """Let a server serve both: what protoc generates reads every request first."""
    unary: Any = grpc.unary_unary_rpc_method_handler
    stream: Any = grpc.stream_stream_rpc_method_handler
    handlers = {
        "Rerank": unary(service.rerank, response_serializer=_written),
        "RerankBatch": stream(
            batch.answer_all,
            response_serializer=rerank_service_pb2.RerankBatchResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, handlers),)
    )


def _read(data: bytes) -> rerank_service_pb2.RerankRequest:
    try:
        return rerank_service_pb2.RerankRequest.FromString(data)
    except DecodeError as error:
        raise unreadable() from error


def _written(response: rerank_service_pb2.RerankResponse | Recalled) -> bytes:
    if isinstance(response, Recalled):
        return response.data
    return response.SerializeToString()
