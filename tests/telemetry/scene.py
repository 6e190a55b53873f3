"""One gateway with a collector beside it, and what its callers saw of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.events import CallEnded, Event
from rerank.v1 import (
    document_pb2,
    rerank_service_pb2,
    search_service_pb2,
)
from tests.e2e.running import Running, running
from tests.e2e.vendor import Received
from tests.support.mortal import MODEL
from tests.support.otlp import PATIENCE_S, Collector, collecting
from tests.support.wire import calling

RERANK = "rerank.v1.RerankService/Rerank"
SEARCH = "rerank.v1.SearchService/Search"
PROGRESSIVE = "rerank.v1.SearchService/SearchProgressive"
BATCH = "rerank.v1.RerankService/RerankBatch"

Answer = rerank_service_pb2.RerankResponse | search_service_pb2.SearchResponse
Metadata = Sequence[tuple[str, str]]

_ANSWERS: dict[str, Any] = {
    RERANK: rerank_service_pb2.RerankResponse,
    SEARCH: search_service_pb2.SearchResponse,
    PROGRESSIVE: search_service_pb2.SearchProgressiveResponse,
    BATCH: rerank_service_pb2.RerankBatchResponse,
}


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call, as its caller saw it."""

    method: str
    """As telemetry is to call it."""
    status: str
    details: str
    """Message and trailing metadata of its end, whatever is in them."""
    answers: Sequence[Any]
    trace_id: str
    """What the gateway said to the caller; empty: nothing."""
    sampled: bool = True
    """Whether its trace is to be sent."""

    @property
    def answer(self) -> Answer | None:
        """Give the last one, if it is one with results."""
        last = self.answers[-1] if self.answers else None
        return last if isinstance(last, Answer) else None

    @property
    def counted(self) -> Sequence[Answer]:
        """Give those that count as the answer of a call: of a batch, of each request."""
        if self.method != BATCH:
            return [self.answer] if self.answer is not None else []
        return [each.response for each in self.answers if each.HasField("response")]


@dataclass(slots=True)
class Told:
    """What a gateway told while it ran, and what was done with it."""

    collector: Collector
    rpcs: list[Rpc] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    asked: dict[str, list[Received]] = field(default_factory=dict)
    """By backend: what it was asked."""
    masks_scores: bool = False
    """They depend on the processor."""


class Scene:
    """Calls a gateway, and remembers what came back.

    Args:
        gateway: That runs.
        told: Where it is remembered.

    """

    def __init__(self, gateway: Running, told: Told) -> None:
        self.gateway = gateway
        self.told = told
        self.changed = asyncio.Event()

    async def until(self, kind: type[Event], count: int = 1) -> None:
        """Wait for as many events of a kind."""
        await self.until_true(
            lambda: sum(isinstance(each, kind) for each in self.told.events) >= count
        )

    async def until_true(self, condition: Callable[[], bool]) -> None:
        """Wait for an event to make something true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def rerank(
        self, request: rerank_service_pb2.RerankRequest, **more: Any
    ) -> Rpc:
        """Ask for a rerank."""
        return await self.ask(RERANK, request, **more)

    async def search(
        self, request: search_service_pb2.SearchRequest, **more: Any
    ) -> Rpc:
        """Search."""
        return await self.ask(SEARCH, request, **more)

    async def progressively(
        self, request: search_service_pb2.SearchRequest, **more: Any
    ) -> Rpc:
        """Search, and take every message."""
        asked = search_service_pb2.SearchProgressiveRequest(search=request)
        return await self.ask(PROGRESSIVE, asked, streams=True, **more)

    async def batch(self, *requests: rerank_service_pb2.RerankRequest) -> Rpc:
        """Ask for many reranks over one stream."""
        asked = [
            rerank_service_pb2.RerankBatchRequest(request_id=str(place), request=each)
            for place, each in enumerate(requests)
        ]
        return await self.ask(BATCH, asked, streams=True)

    async def ask(
        self,
        method: str,
        request: Any,
        *,
        timeout: float = PATIENCE_S,  # noqa: ASYNC109 - gRPC's own
        metadata: Metadata = (),
        streams: bool = False,
        sampled: bool = True,
        called: str = "",
        before_leaving: Callable[[], Any] | None = None,
        leaves_after: int | None = None,
    ) -> Rpc:
        """Make one call.

        Args:
            method: `package.Service/Method`.
            request: The message, or a list of them.
            timeout: The caller's deadline.
            metadata: What goes along.
            streams: It has several answers.
            sampled: Whether its trace is to be sent.
            called: What telemetry calls the method, if not by its name.
            before_leaving: Awaited, and then the call is cancelled.
            leaves_after: It is cancelled after so many answers.

        """
        channel = self.gateway.channel
        make: Any = channel.unary_stream if streams else channel.unary_unary
        if isinstance(request, list):
            make = channel.stream_stream
        kind = _ANSWERS.get(method)
        call = make(
            f"/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=kind.FromString if kind else bytes,
        )(request, timeout=timeout, metadata=metadata)
        answers: list[Any] = []
        try:
            if before_leaving:
                await before_leaving()
                call.cancel()
            if streams:
                async for each in call:
                    answers.append(getattr(each, "search_response", each))
                    if len(answers) == leaves_after:
                        call.cancel()
            else:
                answers.append(await call)
        except (grpc.aio.AioRpcError, asyncio.CancelledError):
            pass
        trailers = tuple(await call.trailing_metadata() or ())
        said = [await call.details() or "", *(f"{k}: {v!r}" for k, v in trailers)]
        rpc = Rpc(
            method=called or method,
            status=(await call.code()).name,
            details="\n".join(said),
            answers=answers,
            trace_id=str(dict(trailers).get("x-trace-id", "")),
            sampled=sampled,
        )
        self.told.rpcs.append(rpc)
        return rpc

    async def all_ended(self) -> None:
        """Wait until the gateway knows of the end of every call."""
        await self.until(CallEnded, len(self.told.rpcs))


@asynccontextmanager
async def playing(
    settings: Mapping[str, Any], *, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Scene]:
    """Run a gateway; all that it tells is there when the block has ended."""
    with collecting() as collector, pytest.MonkeyPatch.context() as patch:
        told = Told(collector)
        said = {**collector.environment, **(environ or {})}
        for name, value in said.items():
            patch.setenv(name, value)  # the SDK's exporters read it there
        scene: Scene | None = None

        def emit(event: Event) -> None:
            told.events.append(event)
            if scene:
                scene.changed.set()

        async with running(settings, environ=said, emit=emit) as gateway:
            scene = Scene(gateway, told)
            yield scene
            await scene.all_ended()


TEXTS = {
    "bread": "warm bread from the oven",
    "cake": "a warm cake",
    "cat": "the cat sleeps on the warm oven",
    "dog": "a dog barks at the cat",
    "fish": "cold fish",
}
"""Of a small collection: by id."""


async def stored(
    folder: Path, embedder_url: str, texts: Iterable[tuple[str, str]]
) -> None:
    """Fill the collection `default` in a folder."""
    async with running(searching(folder, embedder_url)) as gateway:
        caller = calling(gateway.channel)
        await caller.create("default")
        documents = [document_pb2.Document(id=k, text=v) for k, v in texts]
        answer = await caller.load("default", documents)
        assert answer.accepted_count == len(documents)
        await caller.find(
            search_service_pb2.SearchRequest(
                query="warm",
                min_version=answer.version,
                rerank=search_service_pb2.RerankOptions(enabled=False),
            )
        )


def searching(folder: Path, embedder_url: str, **more: Any) -> dict[str, Any]:
    """Configure a gateway with collections in a folder."""
    embedder = {"dialect": "openai", "url": embedder_url, "model": MODEL}
    return {
        "retrieval": {"engine": "embedded", "path": str(folder)},
        "embedder": embedder if embedder_url else {"dialect": "none"},
        **more,
    }
