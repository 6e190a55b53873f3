"""`rerank-gateway serve`."""

import asyncio
import gc
import logging
import signal
from collections.abc import Callable
from typing import Annotated

import typer

from gateway.cli.configuration import ConfigOption, configured
from gateway.cli.failing import fail
from gateway.settings import Settings

_log = logging.getLogger("gateway")

_OBJECTS_TO_LOOK = 20_000
"""New objects that hold others, before those that refer to each other are looked for."""


def serve(
    config: ConfigOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT to listen on; port 0 takes a free one."),
    ] = None,
    metrics_address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of an endpoint for Prometheus, likewise."),
    ] = None,
) -> None:
    """Listen until SIGTERM or SIGINT, then let the calls in flight finish."""
    settings = configured(config, address=address, metrics_address=metrics_address)
    from gateway.listening import AddressError
    from gateway.logs import lines_to_stderr

    try:
        with (
            lines_to_stderr(settings.logs),
            asyncio.Runner(loop_factory=loop_factory()) as runner,
        ):
            runner.run(_serve(settings))
    except AddressError as error:
        fail(str(error))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Give uvloop where it is installed: a sixth less CPU per call."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _settle_memory() -> None:
    """Take what is there now for what will stay, and look for garbage less often.

    A call makes some thousand objects and next to no cycles. Measured: with every trace
    exported, whose spans live for seconds, 4 % of the CPU time of a remembered call.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_OBJECTS_TO_LOOK, *gc.get_threshold()[1:])


async def _serve(settings: Settings) -> None:
    from gateway.compose import gateway
    from gateway.logs import EventLog

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    async with gateway(settings, EventLog(settings.logs)) as running:
        _settle_memory()
        routes = ", ".join(
            f"{name} = {' > '.join(route.backends)}"
            for name, route in settings.routes.items()
        )
        _log.info("listening on %s, routes: %s", running.address, routes)
        if running.metrics_address:
            _log.info("metrics at http://%s/metrics", running.metrics_address)
        await stop.wait()
        grace_s = settings.server.grace_s
        _log.info("stopping: calls in flight have %.0f s to finish", grace_s)
        await running.server.stop(grace_s=grace_s)
    _log.info("stopped")
