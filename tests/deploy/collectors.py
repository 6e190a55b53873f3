"""Who counts spans for Prometheus: a real collector where there is one, else a record.

The record was scraped from OpenTelemetry's collector 0.161.0 with the product's
`otelcol.yaml`, shortened by most of the buckets and search methods.
"""

import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import yaml

from tests.deploy.places import OBSERVABILITY, RECORDED, free_port

_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Collector:
    """Takes spans, and shows what it counted of them."""

    endpoint: str
    """For OTLP over HTTP."""
    metrics_address: str
    """HOST:PORT of its /metrics."""


def a_collector(folder: Path) -> AbstractContextManager[Collector]:
    """Run the one that OTELCOL_BINARY names, or else play one."""
    binary = os.environ.get("OTELCOL_BINARY")
    return _real(binary, folder) if binary else _played()


@contextmanager
def _real(binary: str, folder: Path) -> Iterator[Collector]:
    configured = yaml.safe_load((OBSERVABILITY / "otelcol.yaml").read_text())
    receiving, showing = (f"127.0.0.1:{free_port()}" for _ in range(2))
    configured["receivers"]["otlp"]["protocols"] = {"http": {"endpoint": receiving}}
    configured["exporters"]["prometheus"]["endpoint"] = showing
    configured["exporters"]["otlp_grpc/tempo"]["endpoint"] = "127.0.0.1:1"
    configured["connectors"]["span_metrics"]["metrics_flush_interval"] = "1s"
    configured["service"]["telemetry"] = {"metrics": {"level": "none"}}
    path = folder / "otelcol.yaml"
    path.write_text(yaml.safe_dump(configured))
    with (folder / "otelcol.log").open("w") as log:
        process = subprocess.Popen(  # noqa: S603 - named by whoever runs this
            [binary, "--config", str(path)], stderr=log
        )
    try:
        until = time.monotonic() + _PATIENCE_S
        while not _answers(showing):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((folder / "otelcol.log").read_text())
            time.sleep(0.1)
        yield Collector(f"http://{receiving}", showing)
    finally:
        process.kill()
        process.wait()


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"http://{address}/metrics", trust_env=False).is_success
    except httpx.TransportError:
        return False


@contextmanager
def _played() -> Iterator[Collector]:
    """Take nothing, and show numbers that grow."""
    recorded = (RECORDED / "span_metrics.txt").read_text().splitlines()
    began = time.monotonic()

    class Scraped(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            times = 1 + int(time.monotonic() - began)
            body = "".join(f"{_grown(line, times)}\n" for line in recorded).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Scraped) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Collector("http://127.0.0.1:1", f"127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
            thread.join()


def _grown(line: str, times: int) -> str:
    """All of them are counters."""
    if line.startswith("#"):
        return line
    series, _, value = line.rpartition(" ")
    return f"{series} {times * float(value)}"
