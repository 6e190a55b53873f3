"""`tei.v1.Rerank` and `tei.v1.Info`: this gateway as a text-embeddings-inference.

For callers who speak that already. They get what every caller gets, but for one thing: in
their form each text must have a score, and none is invented. Where not all of them have one
the call fails, as it does there.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeAlias

import grpc
from grpc.aio import ServicerContext

from gateway.contract import DEFAULT_ROUTE, Execution, Reranked
from gateway.errors import InvalidRequest, RerankFailed, Violation
from gateway.inspecting import Configured, Inspecting
from gateway.reranking import Reranking
from gateway.rpc.callers import caller_of
from gateway.rpc.requests import Limits, read_rerank
from gateway.rpc.responses import write_rerank
from gateway.rpc.tei_messages import (
    Texts,
    check_count,
    in_our_form,
    in_their_form,
    in_their_words,
    texts_of,
)
from gateway.rpc.written import Written, written
from tei.v1 import tei_pb2

SERVICES = ("tei.v1.Info", "tei.v1.Rerank")

ROUTE = "x-rerank-route"
"""Metadata of a call: its route, where that is not the default one."""

# Quoted: at run time, grpc's classes take no type arguments.
_Context: TypeAlias = "ServicerContext[Any, Any]"
_Told: TypeAlias = list[tuple[str, str]]


class TeiService:
    """Scores texts for callers of text-embeddings-inference.

    What their messages have no place for is metadata of the answer, or of the end of a call
    that fails: `x-search-method`, `x-fallback-triggered`, `x-fallback-reason`,
    `x-rerank-outcome`, `x-rerank-route`, `x-rerank-backend`, `x-rerank-model` and
    `x-score-scale`; what there is nothing to say of is left out.

    Args:
        reranking: The use case.
        inspecting: Tells about the backends.
        limits: How much a request may bring.
        max_calls: How many calls at once are served.
        max_bytes: Of all texts of one stream together.

    """

    def __init__(
        self,
        *,
        reranking: Reranking,
        inspecting: Inspecting,
        limits: Limits,
        max_calls: int,
        max_bytes: int,
    ) -> None:
        self._reranking = reranking
        self._inspecting = inspecting
        self._limits = limits
        self._max_calls = max_calls
        self._max_bytes = max_bytes

    async def info(
        self, _: tei_pb2.InfoRequest, context: _Context
    ) -> tei_pb2.InfoResponse:
        """Tell about the first backend of the route; what is not known is not said."""
        asked = self._first_backend(_route(context))
        return tei_pb2.InfoResponse(
            version=version("rerank-gateway"),
            model_id=asked.facts.model,
            model_sha=asked.facts.revision or None,
            model_type=tei_pb2.MODEL_TYPE_RERANKER,
            max_concurrent_requests=self._max_calls,
            max_input_length=asked.max_tokens,
            max_client_batch_size=self._limits.max_documents,
        )

    async def rerank(
        self, request: tei_pb2.RerankRequest, context: _Context
    ) -> Written:
        """Score the texts of one message."""
        return await self._answer(texts_of(request, self._limits), context)

    async def rerank_stream(
        self,
        requests: AsyncIterator[tei_pb2.RerankStreamRequest],
        context: _Context,
    ) -> Written:
        """Score texts that come one by one, when all are there."""
        asked = Texts()
        size = 0
        async for request in requests:
            count = len(asked.texts)
            # At once: what is too much is not waited for.
            check_count(count + 1, self._limits)
            size += len(request.text) + len(request.query)
            if size > self._max_bytes:
                words = f"must have at most {self._max_bytes} bytes together"
                raise InvalidRequest((Violation("texts", words),))
            if not count:
                asked.query = request.query
                asked.raw_scores = request.raw_scores
                asked.return_text = request.return_text
            elif request.query != asked.query:
                asked.wrong.add("query", "must be that of the first message")
            asked.add(
                request.text,
                truncate=request.truncate,
                direction=request.truncation_direction,
            )
        return await self._answer(asked, context)

    async def _answer(self, asked: Texts, context: _Context) -> Written:
        request = in_our_form(asked, route=_route(context))
        with _in_their_words(context):
            ask = read_rerank(
                request,
                self._limits,
                now=asyncio.get_running_loop().time(),
                remaining_s=context.time_remaining(),
            )
            ask = replace(ask, caller=caller_of(context))
            reranked = await self._reranking.rerank(ask)
            response = in_their_form(asked, reranked)
        await context.send_initial_metadata(_told(reranked))
        return Written(
            response.SerializeToString(),
            write_rerank(request, reranked),
            len(response.ranks),
        )

    def _first_backend(self, route: str) -> Configured:
        name = self._reranking.backends(route)[0]
        for each in self._inspecting.inspections():
            if isinstance(each.configured, Configured) and each.configured.name == name:
                return each.configured
        raise LookupError(name)


def add_tei_service(service: TeiService, server: grpc.aio.Server) -> None:
    """Let a server serve both services."""
    unary: Any = grpc.unary_unary_rpc_method_handler
    stream: Any = grpc.stream_unary_rpc_method_handler
    info, rerank = SERVICES
    handlers = {
        info: {
            "Info": unary(
                service.info,
                request_deserializer=tei_pb2.InfoRequest.FromString,
                response_serializer=tei_pb2.InfoResponse.SerializeToString,
            )
        },
        rerank: {
            "Rerank": unary(
                service.rerank,
                request_deserializer=tei_pb2.RerankRequest.FromString,
                response_serializer=written,
            ),
            "RerankStream": stream(
                service.rerank_stream,
                request_deserializer=tei_pb2.RerankStreamRequest.FromString,
                response_serializer=written,
            ),
        },
    }
    server.add_generic_rpc_handlers(
        tuple(
            grpc.method_handlers_generic_handler(name, methods)
            for name, methods in handlers.items()
        )
    )


@contextmanager
def _in_their_words(context: _Context) -> Iterator[None]:
    """Say of what goes wrong what a caller of theirs can understand."""
    try:
        yield
    except InvalidRequest as error:
        raise in_their_words(error) from error
    except RerankFailed as failed:
        before = tuple(context.trailing_metadata() or ())
        context.set_trailing_metadata((*before, *_of_failure(failed.execution)))
        raise


def _route(context: _Context) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == ROUTE and isinstance(value, str):
            return value
    return DEFAULT_ROUTE


def _told(reranked: Reranked) -> _Told:
    return [
        ("x-search-method", reranked.search_method),
        ("x-fallback-triggered", str(reranked.fallback_triggered).lower()),
        *_of_execution(reranked.execution),
    ]


def _of_failure(execution: Execution) -> _Told:
    return [("x-fallback-triggered", "true"), *_of_execution(execution)]


def _of_execution(execution: Execution) -> _Told:
    reasons = [stage.reason for stage in execution.stages if stage.reason]
    said = {
        "x-rerank-outcome": execution.outcome,
        "x-fallback-reason": execution.fallback_reason or "".join(reasons[-1:]),
        "x-rerank-route": execution.route,
        "x-rerank-backend": execution.backend,
        "x-rerank-model": execution.model,
        "x-score-scale": execution.scale or "",
    }
    return [(name, _printable(value)) for name, value in said.items() if value]


def _printable(name: str) -> str:
    """Give a name as metadata can hold it: a vendor may say anything as its model's."""
    return "".join(
        each if each.isascii() and each.isprintable() else "?" for each in name
    ).strip()
