"""`rerank-gateway health`: what the health check of a container runs, again and again."""

import sys
from typing import Annotated, Any, Final

import typer

from gateway.cli.failing import MISTAKE, fail
from gateway.cli.options import Options, asks_a_gateway
from gateway.cli.reaching import Reach, reach_of
from gateway.settings import SettingsError, load, load_what_is_right
from gateway.settings.server import host_and_port

_PATIENCE_S: Final = 3.0

# Where a server listens on every address, the nearest one is asked.
_EVERY: Final = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}  # noqa: S104 - is not bound


@asks_a_gateway
def health(
    options: Options,
    service: Annotated[
        str,
        typer.Option(
            help="Such as rerank.v1.RerankService; otherwise the gateway as a whole.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Ask a gateway whether it serves, and end with 0 if it does."""
    problems: tuple[str, ...] = ()
    try:
        settings = load(options.config)
    except SettingsError as error:
        # A gateway that runs has not taken this one, and serves by the one before.
        settings, problems = load_what_is_right(options.config), error.problems
    own = "" if options.address else _nearest(settings.server.address)
    reach = reach_of(options, settings, own=own, open_to_all=True)
    state = _state(reach, service)
    if state != "SERVING":
        for problem in problems:
            print(problem, file=sys.stderr)  # noqa: T201 - a command
        fail(state)
    print(state)  # noqa: T201 - a command


def _nearest(address: str) -> str:
    """Turn where a server listens into where it is reached from here."""
    try:
        host, port = host_and_port(address)
    except ValueError:
        fail("server.address: must be HOST:PORT; say with --address which", MISTAKE)
    if port == 0:
        fail("server.address: has port 0; say with --address which it took", MISTAKE)
    host = _EVERY.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _state(reach: Reach, service: str) -> str:
    """Give the state as gRPC names it, or how the call failed, and where."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    from gateway.cli.channels import blocking_channel_to, in_words, known
    from gateway.cli.handshake import Unreachable

    try:
        reach = known(reach)
        with blocking_channel_to(reach) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            request = health_pb2.HealthCheckRequest(service=service)
            answer = stub.Check(request, timeout=_PATIENCE_S)
    except Unreachable as error:
        return f"{reach.place}: UNAVAILABLE: {error}"
    except grpc.RpcError as error:
        call: Any = error
        return in_words(call.code(), call.details(), [reach])
    state = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
    return state if state == "SERVING" else f"{reach.place}: {state}"
