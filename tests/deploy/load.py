"""A gateway as a command, between two vendors, that is made to do all that it can show."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, count, repeat
from pathlib import Path
from typing import Any

import grpc

from rerank.v1 import (
    document_pb2,
    options_pb2,
    rerank_service_pb2,
    rerank_service_pb2_grpc,
    search_service_pb2,
)
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import serving
from tests.e2e.vendor import Exchange, Play, Vendor, hang, reply, reply_json
from tests.support.wire import PATIENCE_S, Caller, calling

(_TEI,) = SHAPES["tei"]
(_COHERE,) = SHAPES["cohere-v2"]

# The memory that gateways share is where nobody listens: it fails each time.
_CONFIGURATION = """
[routes.default]
backends = ["tei", "cohere"]
[routes.only_tei]
backends = ["tei"]
[routes.only_cohere]
backends = ["cohere"]

[backends.tei]
dialect = "tei"
urls = ["{tei}", "{tei_2}"]
timeout_s = 1.0
hedge_after_s = 0.1
extra_calls = 1.0
cooldown_s = 0.5
fair_s = 0.01
[backends.cohere]
dialect = "cohere-v2"
url = "{cohere}"
model = "rerank-v3.5"
api_key_env = "VENDOR_KEY"
price = {{ per_1000_search_units = 2 }}

[tenants.anonymous]
max_concurrent_calls = 2
[ledger]
path = "{ledger}"

[cache]
ttl_s = 2.0
max_bytes = 30000
url = "redis://127.0.0.1:1/0"
key_env = "CACHE_KEY"

[retrieval]
engine = "embedded"
path = "{store}"
"""

ENVIRONMENT = {
    "VENDOR_KEY": "key-1",
    "CACHE_KEY": "0123456789abcdef0123456789abcdef",
    "RERANK_GATEWAY__RETRIEVAL__ENGINE": "embedded",
}


@dataclass(frozen=True)
class Vendors:
    """Who is asked for scores: two equal servers, and another one."""

    tei: Vendor
    tei_2: Vendor
    cohere: Vendor


@asynccontextmanager
async def vendors() -> AsyncIterator[Vendors]:
    async with (
        Vendor(_TEI.scored(_score), info=_TEI.info) as tei,
        Vendor(_TEI.scored(_score), info=_TEI.info) as tei_2,
        Vendor(_with_a_bill) as cohere,
    ):
        yield Vendors(tei, tei_2, cohere)


@asynccontextmanager
async def a_busy_gateway(
    folder: Path, *, metrics_address: str, collector: str
) -> AsyncIterator[Callable[[float], Awaitable[None]]]:
    """Run `serve` for the block, and give what makes it busy for so many seconds.

    Args:
        folder: For its configuration and its store.
        metrics_address: HOST:PORT where it shows its metrics.
        collector: The url of who takes its spans, if there is anybody.

    """
    async with vendors() as asked:
        path = folder / "gateway.toml"
        path.write_text(
            _CONFIGURATION.format(
                tei=asked.tei.url,
                tei_2=asked.tei_2.url,
                cohere=asked.cohere.url,
                store=folder / "store",
                ledger=folder / "ledger.sqlite",
            )
        )
        async with (
            serving(
                *("--config", str(path), "--metrics-address", metrics_address),
                environ={
                    **ENVIRONMENT,
                    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{collector}/v1/traces",
                    "OTEL_BSP_SCHEDULE_DELAY": "500",
                },
            ) as served,
            grpc.aio.insecure_channel(served.address) as channel,
        ):
            yield lambda for_s: busy(channel, asked, for_s)


async def busy(channel: grpc.aio.Channel, asked: Vendors, for_s: float) -> None:
    """Call the gateway in all ways, and let a backend be down in the middle third."""
    stub = rerank_service_pb2_grpc.RerankServiceStub(channel)
    caller = calling(channel)
    await _store(caller)
    well = _TEI.scored(_score)
    began = time.monotonic()
    for number in count():
        part = (time.monotonic() - began) / for_s
        if part >= 1:
            break
        is_down = 1 / 3 < part < 2 / 3
        fault = {0: _fails, 2: hang}.get(number % 4, well)
        asked.tei.play = asked.tei_2.play = (
            _fails if is_down else _at_first(fault, well)
        )
        await _call_in_all_ways(stub, caller, number)
        await _refused(_nothing(channel))
        await asyncio.sleep(0.05)


async def _call_in_all_ways(
    stub: "rerank_service_pb2_grpc.RerankServiceAsyncStub", caller: Caller, number: int
) -> None:
    def asking(first: int = 0, **more: Any) -> rerank_service_pb2.RerankRequest:
        return rerank_service_pb2.RerankRequest(
            query=f"question {number}",
            search_method="rrf_hybrid",
            documents=[_document(place) for place in range(first, first + 8)],
            **more,
        )

    async def rerank(request: rerank_service_pb2.RerankRequest) -> None:
        await stub.Rerank(request, timeout=PATIENCE_S)

    same = asking(20)
    bypass = options_pb2.CacheOptions(mode=options_pb2.CACHE_MODE_BYPASS)
    await asyncio.gather(rerank(same), rerank(same))
    # More at once than a tenant may ask.
    await asyncio.gather(*(rerank(asking(80, cache=bypass)) for _ in range(4)))
    await rerank(asking())
    await rerank(asking())
    await rerank(asking(4))
    await rerank(asking(cache=bypass))
    await rerank(asking(40, route="only_tei"))
    await rerank(asking(60, route="only_cohere"))
    for diverse in (False, True):
        await caller.find(
            search_service_pb2.SearchRequest(
                query=f"restore backup {number}",
                collection="notes",
                mmr=search_service_pb2.MmrOptions(enabled=diverse),
            )
        )
    await _refused(rerank(rerank_service_pb2.RerankRequest()))
    async for answer in stub.RerankBatch(
        rerank_service_pb2.RerankBatchRequest(request_id=str(place), request=same)
        for place in range(3)
    ):
        assert answer.HasField("response")


async def _nothing(channel: grpc.aio.Channel) -> None:
    """Call what there is not: an error of a server, and one that can be had at will."""
    call: Any = channel.unary_unary("/rerank.v1.RerankService/Nothing")
    await call(b"", timeout=PATIENCE_S)


async def _refused(call: Awaitable[None]) -> None:
    try:
        await call
    except grpc.aio.AioRpcError:
        return
    message = "it was answered"
    raise AssertionError(message)


async def _store(caller: Caller) -> None:
    await caller.create("notes")
    await caller.load("notes", [_document(place) for place in range(30)])


def _document(place: int) -> document_pb2.Document:
    return document_pb2.Document(
        id=f"note-{place}", text=f"To restore backup {place}, stop the database first."
    )


def _score(text: str) -> float:
    """Give any order but the one received, and scores all over the range."""
    return (_hash(text) % 100) / 100


def _hash(text: str) -> int:
    return sum(place * byte for place, byte in enumerate(text.encode(), start=1))


async def _with_a_bill(exchange: Exchange) -> None:
    raw = [_score(text) for text in _COHERE.texts(exchange.received)]
    answer = _COHERE.answer(
        _COHERE.results(raw), meta={"billed_units": {"search_units": 1}}
    )
    await reply(200, answer)(exchange)


def _at_first(fault: Play, well: Play) -> Play:
    """Fail once, which a retry makes good, or be slow once, which a hedge does."""
    plays = chain([fault], repeat(well))

    async def play(exchange: Exchange) -> None:
        await next(plays)(exchange)

    return play


async def _fails(exchange: Exchange) -> None:
    await reply_json({"error": "down"}, status=500)(exchange)
