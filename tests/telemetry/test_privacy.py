"""What callers send and backends say stays where it is.

Everything that could be a secret is a word of its own here, which is looked for in each
byte that leaves the process.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.logs import lines_to_stderr
from gateway.reranking import Reranking
from gateway.settings import LogSettings
from gateway.telemetry import semconv
from gateway.telemetry.wire import TracedWire
from rerank.v1 import (
    document_pb2,
    document_service_pb2,
    options_pb2,
    rerank_service_pb2,
    search_service_pb2,
)
from tests.e2e.running import KEY, QUERY, rerank_request
from tests.e2e.shapes import SHAPES
from tests.e2e.subprocesses import ENVIRONMENT, ROOT, command
from tests.e2e.vendor import Exchange, Vendor, reply
from tests.support.otlp import SIGNALS, Collector, collecting, values
from tests.support.wire import calling
from tests.telemetry.scenarios import CANARY, GOOD, SCENARIOS, one_backend, told
from tests.telemetry.scene import TEXTS

pytestmark = pytest.mark.real_time

_PATIENCE_S = 60.0
_LONG = "x" * 300
_END = "zz9end"
"""Behind what may be quoted of a text."""

SECRETS = {
    each: f"zz9{each}"
    for each in (
        *("query", "title", "text", "field", "group", "instruction", "label"),
        *("key", "authorization", "cookie", "caller", "header", "baggage", "agent"),
        *("refusal", "reason", "said", "malformed", "exception"),
        *("service", "method", "route", "collection"),
    )
}
"""By what it is."""
ID = "zz9id"

Places = Mapping[str, str]
"""Where words may turn up, and all that was said there."""


def leaks(places: Places, secrets: Iterable[str]) -> list[str]:
    """Name each secret that is somewhere, and where."""
    return [
        f"{secret} in {place}"
        for place, said in places.items()
        for secret in secrets
        if secret in said
    ]


def sent(collector: Collector) -> dict[str, str]:
    """Give each byte that was sent, by its signal."""
    return {each: collector.sent[each].decode("latin-1") for each in SIGNALS}


# In every scenario


@pytest.mark.parametrize("name", SCENARIOS)
async def test_no_scenario_tells_what_is_nobodys_business(name: str) -> None:
    seen = await told(name)
    secrets = (CANARY, KEY, QUERY, "text-of-a-caller", "warm bread", *TEXTS.values())
    assert not leaks(sent(seen.collector), secrets)
    # A caller may hear again which route there is none of.
    assert name == "an_unknown_route" or not leaks(
        {"status": "\n".join(rpc.details for rpc in seen.rpcs)}, secrets
    )


# In a process of its own, to the last line that it writes


@dataclass(slots=True)
class Run:
    """All that came out of a process."""

    collector: Collector
    log: Path
    statuses: list[str] = field(default_factory=list)
    """What callers were told at the ends of calls, beside the answers."""

    @property
    def stderr(self) -> str:
        return self.log.read_text()

    @property
    def places(self) -> Places:
        return {**sent(self.collector), "stderr": self.stderr}


@asynccontextmanager
async def process(folder: Path, **environ: str) -> AsyncIterator[tuple[Run, str]]:
    """Run `serve` until the block ends and it has ended; give its address."""
    with collecting() as collector:
        run = Run(collector, folder / "stderr")
        with run.log.open("wb") as log:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "gateway", "serve", "--address", "127.0.0.1:0"),
                cwd=ROOT,
                env={**os.environ, **ENVIRONMENT, **collector.environment, **environ},
                stdout=log,
                stderr=log,
            )
        try:
            yield run, await _address(run, child)
            child.send_signal(signal.SIGTERM)
            async with asyncio.timeout(_PATIENCE_S):
                assert await child.wait() == 0, run.stderr
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()


async def _address(run: Run, child: asyncio.subprocess.Process) -> str:
    async with asyncio.timeout(_PATIENCE_S):
        while "listening on " not in run.stderr:  # it is a file
            assert child.returncode is None, run.stderr
            await asyncio.sleep(0.02)
    return run.stderr.partition("listening on ")[2].partition(",")[0]


# Raises a bug of ours in the middle of a call: nobody outside the process could.
_BROKEN = f"""
from gateway.reranking import Reranking

scored = Reranking._scored

async def broken(self, ask, *args, **more):
    if ask.query == "break":
        raise ValueError("{SECRETS["exception"]}" + ask.documents[0].text)
    return await scored(self, ask, *args, **more)

Reranking._scored = broken
"""

_HEADERS = (
    ("authorization", f"Bearer {SECRETS['authorization']}"),
    ("cookie", f"session={SECRETS['cookie']}"),
    ("x-rerank-caller", SECRETS["caller"]),
    ("x-secret", SECRETS["header"]),
    ("baggage", f"user={SECRETS['baggage']}"),
    ("x-rerank-debug", "1"),
)


def document(place: int) -> document_pb2.Document:
    made = document_pb2.Document(
        id=f"{ID}{place}",
        title=f"{SECRETS['title']} {place}",
        text=f"{SECRETS['text']} {_LONG} {_END} {place}",
        group_id=SECRETS["group"],
    )
    made.metadata.update({SECRETS["field"]: SECRETS["field"]})
    return made


def request(query: str = "", **more: Any) -> rerank_service_pb2.RerankRequest:
    return rerank_service_pb2.RerankRequest(
        query=query or f"{SECRETS['query']} {_LONG} {_END}",
        documents=[document(place) for place in range(3)],
        instruction=SECRETS["instruction"],
        labels={"l": SECRETS["label"]},
        **more,
    )


async def _refuse(exchange: Exchange) -> None:
    said = f"{SECRETS['refusal']} {exchange.received.body.decode()}"
    await reply(
        503,
        said.encode(),
        headers={"X-Said": SECRETS["said"]},
        reason=SECRETS["reason"],
    )(exchange)


async def everything_that_can_be_asked(run: Run, address: str, vendor: Vendor) -> None:
    """Call in every way, with a backend that answers in every way."""
    options = [("grpc.primary_user_agent", SECRETS["agent"])]
    async with grpc.aio.insecure_channel(address, options=options) as channel:

        async def ask(method: str, message: Any, kind: Any = None) -> None:
            call: Any = channel.unary_unary(
                f"/{method}",
                request_serializer=lambda each: each.SerializeToString(),
                response_deserializer=kind.FromString if kind else bytes,
            )(message, timeout=_PATIENCE_S, metadata=_HEADERS)
            with suppress(grpc.aio.AioRpcError):
                await call
            trailers = await call.trailing_metadata() or ()
            said = " ".join(f"{key}: {value!r}" for key, value in trailers)
            run.statuses.append(f"{await call.details()} {said}")

        rerank = "rerank.v1.RerankService/Rerank"
        good = vendor.play
        await ask(rerank, request(), rerank_service_pb2.RerankResponse)
        strict = options_pb2.FAILURE_POLICY_FAIL
        for play in (_refuse, reply(200, f"<{SECRETS['malformed']}>".encode())):
            vendor.play = play
            await ask(rerank, request("fails"))
            await ask(rerank, request("fails", failure_policy=strict))
        vendor.play = good
        await ask(rerank, request("break"))
        await ask(rerank, request(top_n=-1))
        await ask(f"{SECRETS['service']}/{SECRETS['method']}", request())
        await ask(f"rerank.v1.RerankService/{SECRETS['method']}", request())
        caller = calling(channel)
        await caller.create("default")
        await caller.load("default", [document(place) for place in range(3)])
        search = "rerank.v1.SearchService/Search"
        query = f"{SECRETS['query']} {_LONG} {_END}"
        find = search_service_pb2.SearchRequest
        await ask(search, find(query=query), search_service_pb2.SearchResponse)
        answered = len(run.statuses)
        # What is in these, a caller may hear again, but nobody else.
        await ask(rerank, request(route=SECRETS["route"]))
        off = search_service_pb2.RerankOptions(enabled=False, route=SECRETS["route"])
        await ask(search, find(query=query, rerank=off))
        await ask(search, find(query=query, collection=SECRETS["collection"]))
        await ask(
            "rerank.v1.DocumentService/DeleteCollection",
            document_service_pb2.DeleteCollectionRequest(name=SECRETS["collection"]),
        )
        del run.statuses[answered:]


async def whole_run(folder: Path, **environ: str) -> Run:
    (folder / "sitecustomize.py").write_text(_BROKEN)
    shape = SHAPES["cohere-v2"][0]
    async with Vendor(shape.scored(lambda _: 0.5)) as vendor:
        settings = {
            "BACKENDS__ONLY__DIALECT": "cohere-v2",
            "BACKENDS__ONLY__MODEL": "m",
            "BACKENDS__ONLY__URL": vendor.url,
            "BACKENDS__ONLY__API_KEY_ENV": "SECRET_KEY",
            "BACKENDS__ONLY__RETRIES": "0",
            "ROUTES__DEFAULT__BACKENDS": '["only"]',
            "RETRIEVAL__ENGINE": "embedded",
            "RETRIEVAL__PATH": str(folder / "store"),
            "SERVER__ALLOW_DEBUG": "true",
        }
        async with process(
            folder,
            PYTHONPATH=os.pathsep.join([str(folder), ENVIRONMENT["PYTHONPATH"]]),
            SECRET_KEY=SECRETS["key"],
            **{f"RERANK_GATEWAY__{key}": value for key, value in settings.items()},
            **environ,
        ) as (run, address):
            await everything_that_can_be_asked(run, address, vendor)
        assert vendor.received[0].headers["authorization"].endswith(SECRETS["key"])
    return run


async def test_a_process_tells_no_secret_in_lines_for_people(tmp_path: Path) -> None:
    run = await whole_run(tmp_path, RERANK_GATEWAY__TELEMETRY__DOCUMENT_IDS="false")

    assert not leaks(run.places, [*SECRETS.values(), ID, _END])
    assert not leaks({"status": " ".join(run.statuses)}, [*SECRETS.values(), _END])
    # All of it happened, and was told.
    assert "x-rerank-debug" in " ".join(run.statuses)
    ends = {
        values(span.attributes)[semconv.RPC_STATUS]
        for span in run.collector.spans
        if not span.parent_span_id
    }
    assert ends == {
        *("OK", "UNAVAILABLE", "FAILED_PRECONDITION", "INTERNAL"),
        *("INVALID_ARGUMENT", "UNIMPLEMENTED", "NOT_FOUND"),
    }
    assert "ERROR gateway.rpc.guard: a bug: ValueError at" in run.stderr
    assert "RERANK_GATEWAY_CAPTURE_CONTENT" not in run.stderr
    assert len(run.collector.records) == 1
    assert run.collector.last_metrics


async def test_a_process_tells_no_secret_in_lines_for_machines(
    tmp_path: Path,
) -> None:
    run = await whole_run(tmp_path, RERANK_GATEWAY__LOGS__FORMAT="json")

    assert not leaks(run.places, [*SECRETS.values(), _END])
    assert '"event":"call"' in run.stderr
    # Of a document, its id is told, and only by traces.
    assert {leak.split()[-1] for leak in leaks(run.places, [ID])} == {"traces"}


async def test_texts_are_quoted_where_somebody_wants_that(tmp_path: Path) -> None:
    run = await whole_run(tmp_path, RERANK_GATEWAY_CAPTURE_CONTENT="SPAN_ONLY")

    quoted = [SECRETS[each] for each in ("query", "title", "text")]
    others = [each for each in SECRETS.values() if each not in quoted]
    assert leaks(run.places, quoted) == [f"{each} in traces" for each in quoted]
    assert not leaks(run.places, [*others, _END])
    texts = [
        value
        for span in run.collector.spans
        for key, value in values(span.attributes).items()
        if key in {semconv.INPUT, semconv.QUERY} or key.endswith(".content")
    ]
    assert {len(each) for each in texts if SECRETS["query"] in each} == {256}
    assert {len(each) for each in texts if SECRETS["text"] in each} == {256}
    said = run.stderr.partition("RERANK_GATEWAY_CAPTURE_CONTENT=SPAN_ONLY")
    assert "WARNING" in said[0]
    assert "listening on" in said[2], "it is said first"


async def test_a_url_with_a_secret_is_refused_and_not_quoted() -> None:
    for url in (
        "http://zz9user:zz9password@localhost:1",
        "http://localhost:1/?key=zz9query",
    ):
        finished = await command(
            "serve",
            environ={
                "RERANK_GATEWAY__BACKENDS__ONLY__DIALECT": "tei",
                "RERANK_GATEWAY__BACKENDS__ONLY__URL": url,
            },
        )
        assert finished.code
        assert "api_key_env" in finished.out + finished.err
        assert "zz9" not in finished.out + finished.err


def test_of_a_url_only_the_place_is_told() -> None:
    wire = TracedWire(
        "https://zz9user:zz9pw@host.test/v1/rerank?key=zz9", propagate=True
    )
    assert wire._attributes == {
        semconv.HTTP_METHOD: "POST",
        semconv.SERVER_ADDRESS: "host.test",
        semconv.SERVER_PORT: 443,
        semconv.URL: "https://host.test:443/v1/rerank",
    }


def test_of_a_server_of_grpc_only_place_and_method_are_told() -> None:
    wire = TracedWire(
        "grpcs://zz9user:zz9pw@host.test:8082/tei.v1.Rerank/Rerank?key=zz9",
        propagate=True,
    )
    assert wire._attributes == {
        semconv.RPC_SYSTEM: "grpc",
        semconv.RPC_METHOD: "tei.v1.Rerank/Rerank",
        semconv.SERVER_ADDRESS: "host.test",
        semconv.SERVER_PORT: 8082,
    }


# These checks can fail


async def test_a_leak_in_a_trace_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ValueError(CANARY)

    monkeypatch.setattr(Reranking, "_scored", broken)
    monkeypatch.setattr(semconv, "error_type", str)
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(rerank_request(1))
    assert leaks(sent(scene.told.collector), [CANARY, KEY]) == [f"{CANARY} in traces"]


async def test_a_leak_in_a_metric_and_in_a_log_record_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ValueError

    monkeypatch.setattr(Reranking, "_scored", broken)
    monkeypatch.setattr("gateway.rpc.calls._NO_SUCH_METHOD", CANARY)
    monkeypatch.setattr("gateway.telemetry.log_records.semconv.GRPC", CANARY)
    async with one_backend(GOOD) as (scene, _):
        await scene.rerank(rerank_request(1))
        await scene.ask("nobody.Knows/This", rerank_request(1), called=CANARY)
    found = leaks(sent(scene.told.collector), [CANARY])
    assert found == [f"{CANARY} in {signal}" for signal in SIGNALS]


def test_a_leak_in_a_line_is_found(capfd: pytest.CaptureFixture[str]) -> None:
    with lines_to_stderr(LogSettings()):
        logging.getLogger("gateway").warning("it said %s", CANARY)
    assert leaks({"stderr": capfd.readouterr().err}, [CANARY])
