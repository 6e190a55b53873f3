"""A collector that takes everything and keeps nothing.

Run as `python -m benchmarks.telemetry.collector`; it prints its address.
"""

from typing import Any

import grpc.aio
import uvloop
from grpc.aio import ServicerContext
from opentelemetry.proto.collector.metrics.v1 import (
    metrics_service_pb2,
    metrics_service_pb2_grpc,
)
from opentelemetry.proto.collector.trace.v1 import (
    trace_service_pb2,
    trace_service_pb2_grpc,
)


class Traces(trace_service_pb2_grpc.TraceServiceServicer):
    """Takes spans."""

    async def Export(  # noqa: N802 - gRPC's name
        self, _: object, __: "ServicerContext[Any, Any]"
    ) -> trace_service_pb2.ExportTraceServiceResponse:
        """Take them."""
        return trace_service_pb2.ExportTraceServiceResponse()


class Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    """Takes numbers."""

    async def Export(  # noqa: N802 - gRPC's name
        self, _: object, __: "ServicerContext[Any, Any]"
    ) -> metrics_service_pb2.ExportMetricsServiceResponse:
        """Take them."""
        return metrics_service_pb2.ExportMetricsServiceResponse()


async def main() -> None:
    server = grpc.aio.server()
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]
        Traces(), server
    )
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(  # type: ignore[no-untyped-call]
        Metrics(), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on 127.0.0.1:{port},", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main())
