"""`rerank-gateway health`: what the health check of a container runs, again and again."""

from typing import Annotated, Any, Final

import typer

from gateway.cli.configuration import ConfigOption, configured
from gateway.cli.failing import MISTAKE, fail
from gateway.settings.server import host_and_port

_PATIENCE_S: Final = 3.0

# Where a server listens on every address, the nearest one is asked.
_EVERY: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - is not bound


def health(
    config: ConfigOption = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT of the gateway; otherwise where this configuration serves.",
            show_default=False,
        ),
    ] = None,
    service: Annotated[
        str,
        typer.Option(
            help="Such as rerank.v1.RerankService; otherwise the gateway as a whole.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Ask a gateway whether it serves, and end with 0 if it does."""
    if address is None:
        address = _nearest(configured(config).server.address)
    state = _state(address, service)
    if state != "SERVING":
        fail(f"{address}: {state}")
    print(state)  # noqa: T201 - a command


def _nearest(address: str) -> str:
    """Turn where a server listens into where it is reached from here."""
    host, port = host_and_port(address)
    if port == 0:
        fail("server.address: has port 0; say with --address which it took", MISTAKE)
    host = _EVERY.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _state(address: str, service: str) -> str:
    """Give the state as gRPC names it, or that of the call, where that failed."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    # Left to itself, gRPC takes a proxy from the environment.
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(address, options=options) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service=service)
        try:
            answer = stub.Check(request, timeout=_PATIENCE_S)
        except grpc.RpcError as error:
            call: Any = error
            name: str = call.code().name
            return name
    return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
