"""Collectors of OpenTelemetry's metrics on real sockets, one for each protocol."""

import asyncio
import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric


class Inbox:
    """What a collector was sent, in order; it is filled by other threads."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._sent: asyncio.Queue[ExportMetricsServiceRequest] = asyncio.Queue()

    def put(self, sent: ExportMetricsServiceRequest) -> None:
        self._loop.call_soon_threadsafe(self._sent.put_nowait, sent)

    async def next(self) -> ExportMetricsServiceRequest:
        async with asyncio.timeout(20):
            return await self._sent.get()

    async def last(self) -> ExportMetricsServiceRequest:
        """Give the last one that is here; there must be one."""
        last = await self.next()
        while not self._sent.empty():
            last = self._sent.get_nowait()
        return last


@contextmanager
def over_grpc(inbox: Inbox) -> Iterator[str]:
    """Collect, and give the endpoint."""

    class Service(metrics_service_pb2_grpc.MetricsServiceServicer):
        def Export(self, request: Any, _: Any) -> Any:  # noqa: N802 - gRPC's name
            inbox.put(request)
            return ExportMetricsServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(Service(), server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(0).wait()


@contextmanager
def over_http(inbox: Inbox) -> Iterator[str]:
    """Collect, and give the endpoint."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers["content-encoding"] == "gzip":
                body = gzip.decompress(body)
            found = self.path == "/v1/metrics"
            self.send_response(200 if found else 404)
            self.send_header("content-length", "0")
            self.end_headers()
            if found:
                inbox.put(ExportMetricsServiceRequest.FromString(body))

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = Thread(target=server.serve_forever, args=(0.01,))
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


COLLECTORS = {"grpc": over_grpc, "http/protobuf": over_http}


def metrics(sent: ExportMetricsServiceRequest) -> dict[str, Metric]:
    """Give the metrics of the one resource and scope, by name."""
    (resource,) = sent.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def attributes(named: Any) -> dict[str, str]:
    """Give the attributes of a point or a resource."""
    pairs: list[KeyValue] = named.attributes
    return {pair.key: pair.value.string_value for pair in pairs}
