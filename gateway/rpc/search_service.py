"""`rerank.v1.SearchService`."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Any

from grpc.aio import ServicerContext

from gateway.contract import Outcome
from gateway.errors import InvalidRequest, Violation
from gateway.rpc.callers import caller_of
from gateway.rpc.requests import Limits
from gateway.rpc.search_requests import read_search
from gateway.rpc.search_responses import write_search
from gateway.searching import Searching
from gateway.searching.contract import Search, Searched
from rerank.v1 import search_service_pb2, search_service_pb2_grpc

SERVICE = "rerank.v1.SearchService"

# What gRPC clients accept by default.
_DEFAULT_RESPONSE_BYTES = 4 * 1024 * 1024

# What a progressive answer puts around the answer: two tags, a length, a truth value.
_AROUND_BYTES = 8


class SearchService(search_service_pb2_grpc.SearchServiceServicer):
    """Finds documents in a collection and orders them.

    Args:
        searching: The use case.
        limits: How much a request may bring.

    """

    def __init__(self, *, searching: Searching, limits: Limits) -> None:
        self._searching = searching
        self._limits = limits

    async def Search(  # noqa: N802 - gRPC's name
        self,
        request: search_service_pb2.SearchRequest,
        context: "ServicerContext[Any, Any]",
    ) -> search_service_pb2.SearchResponse:
        """Search and answer once."""
        ask = _read(request, self._limits, context)
        return _write(request, await self._searching.search(ask))

    async def SearchProgressive(  # noqa: N802 - gRPC's name
        self,
        request: search_service_pb2.SearchProgressiveRequest,
        context: "ServicerContext[Any, Any]",
    ) -> AsyncIterator[search_service_pb2.SearchProgressiveResponse]:
        """Search and answer twice: before the reranking, and after it."""
        if not request.HasField("search"):
            raise InvalidRequest((Violation("search", "is required"),))
        with _below("search"):
            ask = _read(request.search, self._limits, context)
            # It is a generator: what a caller who goes away leaves behind is ended here,
            # and awaited.
            async with aclosing(self._searching.progressively(ask)) as answers:
                async for searched in answers:
                    yield search_service_pb2.SearchProgressiveResponse(
                        search_response=_write(
                            request.search, searched, around_bytes=_AROUND_BYTES
                        ),
                        final=searched.execution.outcome is not Outcome.PENDING,
                    )


def _read(
    request: search_service_pb2.SearchRequest,
    limits: Limits,
    context: "ServicerContext[Any, Any]",
) -> Search:
    ask = read_search(
        request,
        limits,
        now=asyncio.get_running_loop().time(),
        remaining_s=context.time_remaining(),
    )
    return replace(ask, caller=caller_of(context))


def _write(
    request: search_service_pb2.SearchRequest,
    searched: Searched,
    *,
    around_bytes: int = 0,
) -> search_service_pb2.SearchResponse:
    return write_search(
        searched,
        explain=request.explain,
        with_vectors=request.return_embeddings,
        max_bytes=(request.max_response_bytes or _DEFAULT_RESPONSE_BYTES)
        - around_bytes,
    )


@contextmanager
def _below(field: str) -> Iterator[None]:
    """Let the paths of violations begin at the request, not at this field of it."""
    try:
        yield
    except InvalidRequest as error:
        raise InvalidRequest(
            tuple(
                replace(each, field=f"{field}.{each.field}")
                for each in error.violations
            )
        ) from error
