"""Everything that can become of a call, each over real sockets and once a session."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.events import CallEnded, CircuitChanged, FactsLearned, FlightJoined
from gateway.identity.keys import hash_of
from gateway.reranking import Reranking
from gateway.retrieval.retriever import RetrieverError
from gateway.searching import Searching
from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    options_pb2,
    rerank_service_pb2,
    search_service_pb2,
)
from tei.v1 import tei_pb2
from tests.e2e.running import place_of, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import (
    Exchange,
    Play,
    Received,
    Vendor,
    hang,
    reply,
    reply_json,
)
from tests.support.mortal import Embedder
from tests.support.otlp import PATIENCE_S
from tests.support.tei_server import RERANK, TeiServer, refuses, scored
from tests.telemetry.scene import RERANK as OURS
from tests.telemetry.scene import (
    TEXTS,
    Rpc,
    Scene,
    Told,
    playing,
    searching,
    stored,
)

CANARY = "canary-2b7e"
"""In what nobody may ever see."""

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""A caller's `traceparent` whose trace is sampled."""
CALLERS_TRACE = CALLER.split("-")[1]
CALLERS_SPAN = CALLER.split("-")[2]
UNSAMPLED = f"{CALLER[:-1]}0"

Search = search_service_pb2.SearchRequest
MMR = search_service_pb2.MmrOptions(enabled=True)
MMR_AFTER = search_service_pb2.MmrOptions(
    enabled=True, stage=search_service_pb2.MMR_STAGE_AFTER_RERANK
)
FAIL = options_pb2.FAILURE_POLICY_FAIL
OFF = search_service_pb2.RerankOptions(enabled=False)

Scenario = Callable[[], Awaitable[Told]]
SCENARIOS: dict[str, Scenario] = {}
"""By telling name."""
_TOLD: dict[str, Told] = {}


def scenario(play: Scenario) -> Scenario:
    """Make a scenario known by its name."""
    SCENARIOS[play.__name__] = play
    return play


async def told(name: str) -> Told:
    """Give what was told in a scenario; it is played when it is first asked for."""
    if name not in _TOLD:
        _TOLD[name] = await SCENARIOS[name]()
    return _TOLD[name]


def by_place(text: str) -> float:
    """Prefer what stands last."""
    return float(place_of(text))


def by_length(text: str) -> float:
    """Prefer what is short."""
    return -len(text) / 100


(LLAMACPP,) = SHAPES["llamacpp"]
(TEI,) = SHAPES["tei"]
(COHERE,) = SHAPES["cohere-v2"]
(JINA,) = SHAPES["jina"]
GOOD = LLAMACPP.scored(by_place)
DOWN = reply_json({"error": CANARY}, status=503)


@asynccontextmanager
async def one_backend(
    play: Play,
    *,
    cache: int = 0,
    route: dict[str, Any] | None = None,
    server: dict[str, Any] | None = None,
    http: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    **backend: Any,
) -> AsyncIterator[tuple[Scene, Vendor]]:
    """Run a gateway with one backend, llama.cpp's unless told otherwise."""
    async with Vendor(play) as vendor:
        one = {"dialect": "llamacpp", "scale": "logit", **backend, "url": vendor.url}
        if one["dialect"] != "llamacpp":
            del one["scale"]
        settings = {
            "server": server or {},
            "http": http or {},
            "identity": identity or {},
            "cache": {"max_bytes": cache},
            "backends": {"only": one},
            "routes": {"default": {"backends": ["only"], **(route or {})}},
        }
        async with playing(settings, environ=environ) as scene:
            yield scene, vendor
        scene.told.asked["only"] = vendor.received


@asynccontextmanager
async def two_backends(first: Play, **backend: Any) -> AsyncIterator[Scene]:
    """Run a gateway whose second backend answers well."""
    async with Vendor(first) as bad, Vendor(GOOD) as good:
        settings = {
            "backends": {
                "first": {
                    "dialect": "llamacpp",
                    "url": bad.url,
                    **LLAMACPP.settings,
                    **backend,
                },
                "second": {
                    "dialect": "llamacpp",
                    "url": good.url,
                    **LLAMACPP.settings,
                },
            },
            "routes": {"default": {"backends": ["first", "second"]}},
        }
        async with playing(settings) as scene:
            yield scene
        scene.told.asked |= {"first": bad.received, "second": good.received}


@asynccontextmanager
async def library(
    play: Play = LLAMACPP.scored(by_length),  # noqa: B008 - it does nothing yet
) -> AsyncIterator[tuple[Scene, Embedder]]:
    """Run a gateway with a small collection, an embedder and a reranker."""
    with tempfile.TemporaryDirectory() as folder:
        async with Embedder() as embedder, Vendor(play) as vendor:
            await stored(Path(folder), embedder.url, TEXTS.items())
            embedder.received.clear()
            one = {"dialect": "llamacpp", "url": vendor.url, **LLAMACPP.settings}
            settings = searching(
                Path(folder),
                embedder.url,
                backends={"only": one},
                routes={"default": {"backends": ["only"]}},
            )
            async with playing(settings) as scene:
                yield scene, embedder
            scene.told.asked |= {
                "only": vendor.received,
                "embedder": embedder.received,
            }


# Answers


@scenario
async def a_rerank_that_succeeds() -> Told:
    async def play(exchange: Exchange) -> None:
        took = {
            "x-queue-time": "12",
            "x-inference-time": "34",
            "x-compute-tokens": "56",
        }
        body = TEI.body(exchange.received, by_place)
        await reply(200, body, headers=took)(exchange)

    async with Vendor(play, info=TEI.info) as vendor:
        settings = {
            "backends": {"tei": {"dialect": "tei", "url": vendor.url}},
            "routes": {"default": {"backends": ["tei"]}},
        }
        async with playing(settings) as scene:
            await scene.until(FactsLearned)
            await scene.rerank(rerank_request(3, top_k=3))
        scene.told.asked["tei"] = vendor.received
    return scene.told


@scenario
async def a_rerank_over_grpc() -> Told:
    info = tei_pb2.InfoResponse(model_id="BAAI/bge-reranker-base")
    async with TeiServer(scored(by_place), info=info) as server:
        settings = {
            "backends": {"tei": {"dialect": "tei-grpc", "url": server.url}},
            "routes": {"default": {"backends": ["tei"]}},
        }
        async with playing(settings) as scene:
            await scene.until(FactsLearned)
            await scene.rerank(rerank_request(3))
        scene.told.asked["tei"] = _received(server)
    return scene.told


@scenario
async def a_server_of_grpc_that_is_unavailable() -> Told:
    async with TeiServer(refuses("UNAVAILABLE", CANARY)) as server:
        settings = {
            "backends": {"tei": {"dialect": "tei-grpc", "url": server.url}},
            "routes": {"default": {"backends": ["tei"]}},
        }
        async with playing(settings) as scene:
            await scene.rerank(rerank_request(3))
        scene.told.asked["tei"] = _received(server)
    return scene.told


def _received(server: TeiServer) -> list[Received]:
    return [Received("POST", RERANK, each.headers, b"") for each in server.received]


@scenario
async def a_vendor_with_a_bill() -> Told:
    async def play(exchange: Exchange) -> None:
        scores = [
            0.25 * (1 + place_of(text)) for text in COHERE.texts(exchange.received)
        ]
        bill = {"billed_units": {"search_units": 1}}
        body = COHERE.answer(COHERE.results(scores), meta=bill)
        await reply(200, body)(exchange)

    async with one_backend(play, dialect="cohere-v2", model="rerank-v3.5") as (
        scene,
        _,
    ):
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_cache_hit() -> Told:
    async with one_backend(GOOD, cache=10_000_000) as (scene, _):
        await scene.rerank(rerank_request(3))
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_partial_cache_hit() -> Told:
    async with one_backend(GOOD, cache=10_000_000) as (scene, _):
        await scene.rerank(rerank_request(2))
        await scene.rerank(rerank_request(4))
    return scene.told


@scenario
async def a_cache_that_is_not_wanted() -> Told:
    bypass = options_pb2.CacheOptions(mode=options_pb2.CACHE_MODE_BYPASS)
    async with one_backend(GOOD, cache=10_000_000) as (scene, _):
        await scene.rerank(rerank_request(3, cache=bypass))
    return scene.told


@scenario
async def two_callers_with_one_question() -> Told:
    opened = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await opened.wait()
        await GOOD(exchange)

    async with one_backend(play, cache=10_000_000) as (scene, vendor):
        first = asyncio.create_task(scene.rerank(rerank_request(3)))
        await vendor.until(lambda: vendor.in_progress == 1)
        second = asyncio.create_task(scene.rerank(rerank_request(3)))
        await scene.until(FlightJoined)
        opened.set()
        await asyncio.gather(first, second)
    return scene.told


@scenario
async def the_first_of_two_callers_leaves() -> Told:
    opened = asyncio.Event()

    async def play(exchange: Exchange) -> None:
        await opened.wait()
        await GOOD(exchange)

    async with one_backend(play) as (scene, vendor):

        async def joined() -> None:
            await vendor.until(lambda: vendor.in_progress == 1)
            others.append(asyncio.create_task(scene.rerank(rerank_request(3))))
            await scene.until(FlightJoined)

        others: list[asyncio.Task[Rpc]] = []
        await scene.rerank(rerank_request(3), before_leaving=joined)
        await scene.until(CallEnded)
        opened.set()
        await asyncio.gather(*others)
    return scene.told


@scenario
async def nothing_to_score() -> Told:
    blank = rerank_service_pb2.RerankRequest(
        query="q", documents=[document_pb2.Document(id="blank")]
    )
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(blank)
    return scene.told


@scenario
async def documents_without_ids_and_ranks() -> Told:
    bare = rerank_service_pb2.RerankRequest(
        query="q",
        documents=[document_pb2.Document(text=f"text {place}") for place in range(3)],
    )
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(bare)
    return scene.told


@scenario
async def a_listwise_backend() -> Told:
    play = JINA.scored(lambda text: 0.25 * (1 + by_place(text)))
    async with one_backend(play, dialect="jina", model="jina-reranker-v3") as (
        scene,
        _,
    ):
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_retry() -> Told:
    plays = iter([DOWN, GOOD])

    async def play(exchange: Exchange) -> None:
        await next(plays)(exchange)

    async with one_backend(play, retries=1) as (scene, _):
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_hedge() -> Told:
    plays = iter([hang, GOOD])

    async def play(exchange: Exchange) -> None:
        await next(plays)(exchange)

    async with one_backend(play, hedge_after_s=0.2) as (scene, _):
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def parts_of_a_request() -> Told:
    """Each of five documents in a call of its own would be of any order: they are not."""
    turn = asyncio.Condition()
    done: list[int] = []

    async def play(exchange: Exchange) -> None:
        first = min(place_of(text) for text in LLAMACPP.texts(exchange.received))
        async with turn:
            await turn.wait_for(lambda: len(done) * 2 == first)
            await GOOD(exchange)
            done.append(first)
            turn.notify_all()

    async with one_backend(play, max_documents=2) as (scene, _):
        await scene.rerank(rerank_request(5))
    return scene.told


@scenario
async def a_part_before_the_deadline() -> Told:
    async def play(exchange: Exchange) -> None:
        first = min(place_of(text) for text in LLAMACPP.texts(exchange.received))
        await (hang if first else GOOD)(exchange)

    async with one_backend(
        play, max_documents=2, timeout_s=0.6, route={"on_deadline": "partial"}
    ) as (scene, _):
        await scene.rerank(rerank_request(4))
    return scene.told


# Failures of backends


@scenario
async def a_timeout_then_the_second_backend() -> Told:
    async with two_backends(hang, timeout_s=0.1) as scene:
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_timeout_then_the_order_received() -> Told:
    async with one_backend(hang, timeout_s=0.1) as (scene, _):
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_503_then_the_second_backend() -> Told:
    async with two_backends(DOWN) as scene:
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_circuit_that_opens() -> Told:
    async with one_backend(DOWN, failures_in_a_row=1) as (scene, _):
        await scene.rerank(rerank_request(3))
        await scene.until(CircuitChanged)
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_malformed_answer() -> Told:
    async with one_backend(reply(200, f"<h1>{CANARY}</h1>".encode())) as (scene, _):
        await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_rerank_without_time() -> Told:
    # The answer has half of the time for its way back, however busy the machine is.
    async with one_backend(hang, server={"reserve_share": 0.5}) as (scene, _):
        await scene.rerank(rerank_request(3), timeout=1.0)
    return scene.told


@scenario
async def a_rerank_that_must_not_fall_back() -> Told:
    strict = rerank_request(3, failure_policy=FAIL)
    async with one_backend(DOWN) as (scene, _):
        await scene.rerank(strict)
    return scene.told


# Ends of calls


@scenario
async def a_client_whose_deadline_passes() -> Told:
    async def never(*_: object, **__: object) -> None:
        await asyncio.Event().wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reranking, "_scored", never)
        async with one_backend(GOOD) as (scene, _):
            await scene.rerank(rerank_request(3), timeout=0.5)
    return scene.told


@scenario
async def a_client_that_leaves() -> Told:
    async with one_backend(hang) as (scene, vendor):
        await scene.rerank(
            rerank_request(3),
            before_leaving=lambda: vendor.until(lambda: vendor.in_progress == 1),
        )
        await vendor.until(lambda: vendor.abandoned == 1)
    return scene.told


@scenario
async def an_invalid_argument() -> Told:
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(rerank_service_pb2.RerankRequest(query=CANARY, top_n=-1))
    return scene.told


@scenario
async def an_unknown_route() -> Told:
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(rerank_request(3, route=CANARY))
    return scene.told


@scenario
async def an_unknown_method() -> Told:
    async with one_backend(GOOD) as (scene, _):
        await scene.ask(
            f"rerank.v1.RerankService/{CANARY}", rerank_request(3), called="_OTHER"
        )
    return scene.told


@scenario
async def a_batch() -> Told:
    async def play(exchange: Exchange) -> None:
        fails = exchange.received.json["query"] == "fails"
        await (DOWN if fails else GOOD)(exchange)

    # One after the other, so that they are told in this order.
    async with one_backend(play, server={"max_batch_in_flight": 1}) as (scene, _):
        await scene.batch(
            rerank_request(3),
            rerank_service_pb2.RerankRequest(),
            rerank_request(2, query="fails"),
            rerank_request(2, query="fails", failure_policy=FAIL),
        )
    return scene.told


@scenario
async def a_bug() -> Told:
    async def broken(*_: object) -> None:
        raise ValueError(CANARY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reranking, "rerank", broken)
        async with one_backend(GOOD) as (scene, _):
            await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def a_bug_in_the_middle() -> Told:
    async def broken(*_: object, **__: object) -> None:
        raise ValueError(CANARY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reranking, "_scored", broken)
        async with one_backend(GOOD) as (scene, _):
            await scene.rerank(rerank_request(3))
    return scene.told


@scenario
async def one_call_too_many() -> Told:
    async with one_backend(hang, server={"max_calls": 1}) as (scene, vendor):

        async def crowded() -> None:
            await vendor.until(lambda: vendor.in_progress == 1)
            await scene.rerank(rerank_request(3))

        await scene.rerank(rerank_request(3), before_leaving=crowded)
    return scene.told


# The caller's trace


@scenario
async def a_caller_with_a_trace() -> Told:
    async with one_backend(GOOD) as (scene, _):
        headers = [
            ("traceparent", CALLER),
            ("tracestate", "vendor=1"),
            ("baggage", f"who={CANARY}"),
        ]
        await scene.rerank(rerank_request(3), metadata=headers)
    return scene.told


@scenario
async def a_caller_whose_trace_is_not_sampled() -> Told:
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(
            rerank_request(3), metadata=[("traceparent", UNSAMPLED)], sampled=False
        )
    return scene.told


@scenario
async def a_caller_who_wants_to_know() -> Told:
    async with one_backend(GOOD, server={"allow_debug": True}) as (scene, _):
        await scene.rerank(rerank_request(3), metadata=[("x-rerank-debug", "1")])
    return scene.told


@scenario
async def a_call_over_http() -> Told:
    async with (
        one_backend(GOOD, http={"address": "127.0.0.1:0"}) as (scene, _),
        httpx.AsyncClient(timeout=PATIENCE_S) as client,
    ):
        said = await client.post(
            f"http://{scene.gateway.server.http_address}/{OURS}",
            content=rerank_request(3).SerializeToString(),
            headers={"content-type": "application/proto", "traceparent": CALLER},
        )
        answer = rerank_service_pb2.RerankResponse.FromString(said.content)
        trace_id = said.headers["x-trace-id"]
        scene.told.rpcs.append(Rpc(OURS, "OK", "", [answer], trace_id))
    return scene.told


@scenario
async def a_call_of_a_tenant_and_one_of_a_stranger() -> Told:
    shop = {"sha256": hash_of("key-of-shop"), "tenant": "acme"}
    async with one_backend(GOOD, identity={"mode": "keys", "keys": {"shop": shop}}) as (
        scene,
        _,
    ):
        for key in ("key-of-shop", "key-of-nobody"):
            shown = ("authorization", f"Bearer {key}")
            await scene.rerank(rerank_request(3), metadata=[shown])
    return scene.told


# Searches


@scenario
async def a_search() -> Told:
    async with library() as (scene, _):
        await scene.search(Search(query="warm bread", limit=3))
    return scene.told


@scenario
async def a_search_without_a_rerank() -> Told:
    async with library() as (scene, _):
        await scene.search(Search(query="warm bread", limit=3, rerank=OFF))
    return scene.told


@scenario
async def a_search_with_mmr() -> Told:
    async with library() as (scene, _):
        await scene.search(Search(query="warm bread", limit=3, mmr=MMR))
        await scene.search(Search(query="warm bread", limit=3, mmr=MMR_AFTER))
    return scene.told


@scenario
async def a_search_with_mmr_of_documents_without_vectors() -> Told:
    with tempfile.TemporaryDirectory() as folder:
        await stored(Path(folder), "", TEXTS.items())
        async with playing(searching(Path(folder), "")) as scene:
            await scene.search(Search(query="warm bread", rerank=OFF, mmr=MMR))
    return scene.told


@scenario
async def a_search_with_mmr_whose_vectors_do_not_come() -> Told:
    async def lost(*_: object, **__: object) -> RetrieverError:
        return RetrieverError(CANARY)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Searching, "_vectors", lost)
        async with library() as (scene, _):
            await scene.search(Search(query="warm bread", limit=3, mmr=MMR))
    return scene.told


@scenario
async def a_search_that_falls_back() -> Told:
    async with library(DOWN) as (scene, _):
        await scene.search(Search(query="warm bread", limit=3))
    return scene.told


@scenario
async def a_search_that_is_left_after_its_first_answer() -> Told:
    async with library(hang) as (scene, _):
        await scene.progressively(Search(query="warm bread", limit=3), leaves_after=1)
    return scene.told


@scenario
async def a_search_that_reranks_only_its_head() -> Told:
    head = search_service_pb2.RerankOptions(top_k=2)
    async with library() as (scene, _):
        await scene.search(Search(query="warm bread", limit=5, rerank=head))
    return scene.told


@scenario
async def a_search_in_two_answers() -> Told:
    async with library() as (scene, _):
        await scene.progressively(Search(query="warm bread", limit=3))
    return scene.told


@scenario
async def a_search_while_the_embedder_is_down() -> Told:
    async with library() as (scene, embedder):
        embedder.kill()
        await scene.search(Search(query="warm bread", limit=3))
    return scene.told


@scenario
async def a_search_in_no_collection() -> Told:
    async with library() as (scene, _):
        await scene.search(Search(query="warm bread", collection="nowhere"))
    return scene.told


@scenario
async def the_built_in_models() -> Told:
    with tempfile.TemporaryDirectory() as folder:
        settings = {"retrieval": {"engine": "embedded", "path": folder}}
        async with playing(settings) as scene:
            documents = [
                document_pb2.Document(id=each, text=TEXTS[each])
                for each in ("bread", "fish")
            ]
            await scene.ask(
                "rerank.v1.DocumentService/CreateCollection",
                document_service_pb2.CreateCollectionRequest(name="default"),
            )
            await scene.ask(
                "rerank.v1.DocumentService/ImportDocuments",
                document_service_pb2.ImportDocumentsRequest(
                    collection="default", documents=documents
                ),
                streams=True,
            )
            await scene.search(Search(query="warm bread", limit=3))
    scene.told.masks_scores = True
    return scene.told


# Much


@scenario
async def a_thousand_candidates() -> Told:
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(rerank_request(1000, top_k=1000))
    return scene.told
