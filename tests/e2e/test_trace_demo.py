"""The demo of traces, with all that is real but Phoenix."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from clients.demo.demo import store
from clients.trace_demo.__main__ import PROJECT, Done, a_gateway, arrived, calls
from clients.trace_demo.phoenix import Phoenix
from clients.trace_demo.played import a_played_reranker, score
from rerank.v1 import document_service_pb2_grpc
from tests.support.otlp import Collector, values

pytestmark = pytest.mark.real_time


@contextmanager
def _played_phoenix() -> Iterator[tuple[Phoenix, Collector]]:
    """Take spans as Phoenix does, and give them as it does."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
            collector.take("traces", request)
            self._answer(200, b"")

        def do_GET(self) -> None:
            spans = [_as_told(span) for span in collector.spans]
            known = spans and self.path.startswith(f"/v1/projects/{PROJECT}/spans")
            self._answer(200 if known else 404, json.dumps({"data": spans}).encode())

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield Phoenix(f"http://127.0.0.1:{server.server_port}"), collector
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _as_told(span: Span) -> dict[str, Any]:
    return {
        "name": span.name,
        "context": {"trace_id": span.trace_id.hex(), "span_id": span.span_id.hex()},
        "parent_id": span.parent_span_id.hex() or None,
        # Phoenix writes the time of day; this too is in the order of time.
        "start_time": f"{span.start_time_unix_nano:020}",
        "attributes": values(span.attributes),
    }


def _played(folder: Path) -> tuple[list[Done], list[str], list[Span]]:
    with (
        _played_phoenix() as (phoenix, collector),
        a_played_reranker() as reranker,
        a_gateway(folder, reranker.url, phoenix.url, texts=False) as gateway,
        grpc.insecure_channel(gateway.address) as channel,
    ):
        store(document_service_pb2_grpc.DocumentServiceStub(channel))
        done = list(calls(channel, reranker))
        return done, arrived(phoenix, gateway, done), collector.spans


async def test_the_calls_go_as_the_demo_says_and_so_do_their_traces(
    tmp_path: Path,
) -> None:
    done, traces, spans = await asyncio.to_thread(_played, tmp_path)
    assert [
        (each.what, each.answer.search_method, each.reranked, each.by, each.failed)
        for each in done
    ] == [
        ("a search, reranked", "rrf_hybrid+rerank", "10 of 10", "tei", ""),
        ("the same search again", "rrf_hybrid+rerank", "10 of 10", "tei, cached", ""),
        ("diverse, then reranked", "rrf_hybrid+mmr+rerank", "10 of 10", "tei", ""),
        ("only five reranked", "rrf_hybrid+rerank", "5 of 10", "tei", ""),
        ("not to be reranked", "rrf_hybrid", "0 of 10", "", ""),
        ("the caller's own list", "vector+rerank", "3 of 3", "tei", ""),
        ("the same list again", "vector+rerank", "3 of 3", "tei, cached", ""),
        (
            "first backend slow",
            "rrf_hybrid+rerank",
            "10 of 10",
            "local",
            "tei: TIMEOUT",
        ),
        ("only backend down", "rrf_hybrid", "0 of 10", "", "tei: UNAVAILABLE"),
    ]
    first = {
        span.name: values(span.attributes)
        for span in spans
        if span.trace_id.hex() == traces[0]
    }
    results = done[0].answer.results
    assert [
        first["rerank"][f"reranker.output_documents.{place}.document.id"]
        for place in range(len(results))
    ] == [each.document.id for each in results]


async def test_words_in_common_are_its_score() -> None:
    none, half, all_of_them, again = score(
        "restore backups",
        ["soup", "restore it", "restore backups", "restore backups; restore"],
    )
    assert none == -4 < half < all_of_them < again < 4
