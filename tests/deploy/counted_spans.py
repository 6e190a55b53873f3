"""Stands for the collector, to Prometheus: what it counted of spans, once, and growing.

The numbers were scraped from OpenTelemetry's collector 0.161.0 with the product's
`otelcol.yaml`, shortened by most of the buckets and search methods.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.deploy.places import RECORDED


@contextmanager
def counted_spans() -> Iterator[str]:
    """Serve the numbers for the block, and give where: HOST:PORT."""
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
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _grown(line: str, times: int) -> str:
    """All of them are counters."""
    if line.startswith("#"):
        return line
    series, _, value = line.rpartition(" ")
    return f"{series} {times * float(value)}"
