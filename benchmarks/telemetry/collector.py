"""A collector that takes everything and keeps nothing.

Run as `python -m benchmarks.telemetry.collector [PORT [PROTOCOL]]`; it prints its address,
and how many spans it takes.
"""

import asyncio
import sys
from typing import Any

import grpc.aio
import uvloop
from aiohttp import web
from grpc.aio import ServicerContext
from opentelemetry.proto.collector.logs.v1 import (
    logs_service_pb2,
    logs_service_pb2_grpc,
)
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)

_MOST_BYTES = 64 * 2**20


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans."""

    async def Export(  # noqa: N802 - gRPC's name
        self,
        request: trace_service_pb2.ExportTraceServiceRequest,
        _: "ServicerContext[Any, Any]",
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take them."""
        _say(request)
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Takes numbers."""

    async def Export(  # noqa: N802 - gRPC's name
        self, _: object, __: "ServicerContext[Any, Any]"
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        """Take them."""
        return metrics_service_pb2.ExportMetricsServiceResponse()


class Logs(logs_service_pb2_grpc.LogsServiceServicer):
    """Takes log records."""

    async def Export(  # noqa: N802 - gRPC's name
        self, _: object, __: "ServicerContext[Any, Any]"
    ) -> logs_service_pb2.ExportLogsServiceResponse:
        """Take them."""
        return logs_service_pb2.ExportLogsServiceResponse()


async def over_grpc(port: int) -> int:
    """Listen; gives the port."""
    # On this port or on none: not beside one that is about to end.
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    for add, servicer in (
        (trace_service_pb2_grpc.add_TraceServiceServicer_to_server, Traces()),
        (metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server, Metrics()),
        (logs_service_pb2_grpc.add_LogsServiceServicer_to_server, Logs()),
    ):
        add(servicer, server)  # type: ignore[no-untyped-call]  # generated
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    _running.append(server)
    return port


async def over_http(port: int) -> int:
    """Listen; gives the port."""

    async def take(request: web.Request) -> web.Response:
        body = await request.read()
        if request.path == "/v1/traces":
            _say(trace_service_pb2.ExportTraceServiceRequest.FromString(body))
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=_MOST_BYTES)
    app.router.add_post("/v1/{signal}", take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    _running.append(runner)
    return int(runner.addresses[0][1])


_running: list[object] = []
"""A server ends when nobody holds it."""

_OVER = {"grpc": over_grpc, "http/protobuf": over_http}


def _say(request: trace_service_pb2.ExportTraceServiceRequest) -> None:
    spans = sum(
        len(scope.spans)
        for resource in request.resource_spans
        for scope in resource.scope_spans
    )
    print(f"took {spans} spans", flush=True)


async def main(port: int, protocol: str) -> None:
    taken = await _OVER[protocol](port)
    print(f"listening on 127.0.0.1:{taken},", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    _said = dict(enumerate(sys.argv))
    uvloop.run(main(int(_said.get(1, "0")), _said.get(2, "grpc")))
