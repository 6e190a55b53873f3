"""`rerank.v1.RerankService`."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import grpc
from grpc.aio import ServicerContext

from gateway.reranking import Reranking
from gateway.rpc.callers import caller_of
from gateway.rpc.requests import Limits, read_rerank
from gateway.rpc.responses import write_rerank
from rerank.v1 import rerank_service_pb2, rerank_service_pb2_grpc

SERVICE = "rerank.v1.RerankService"


class RerankService(rerank_service_pb2_grpc.RerankServiceServicer):
    """Orders the documents that a caller brings.

    Args:
        reranking: The use case.
        limits: How much a request may bring.

    """

    def __init__(self, *, reranking: Reranking, limits: Limits) -> None:
        self._reranking = reranking
        self._limits = limits

    async def Rerank(  # noqa: N802 - gRPC's name
        self,
        request: rerank_service_pb2.RerankRequest,
        context: "ServicerContext[Any, Any]",
    ) -> rerank_service_pb2.RerankResponse:
        """Order the documents of one request."""
        ask = read_rerank(
            request,
            self._limits,
            now=asyncio.get_running_loop().time(),
            remaining_s=context.time_remaining(),
        )
        ask = replace(ask, caller=caller_of(context))
        return write_rerank(request, await self._reranking.rerank(ask))

    async def RerankBatch(  # noqa: N802 - gRPC's name
        self,
        _: AsyncIterator[rerank_service_pb2.RerankBatchRequest],
        context: "ServicerContext[Any, Any]",
    ) -> AsyncIterator[rerank_service_pb2.RerankBatchResponse]:
        """Refuse: this server does not batch."""
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, "RerankBatch is not served")
        yield rerank_service_pb2.RerankBatchResponse()  # makes this a generator
