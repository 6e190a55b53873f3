"""`rerank-gateway serve`."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated

import typer

from gateway.cli.configuration import ConfigOption
from gateway.cli.failing import MISTAKE, fail
from gateway.cli.reloads import Source, ignore_until_it_serves, reloads
from gateway.cli.worker import loop_factory, settle_memory
from gateway.concurrency import ended
from gateway.events import Emit, Reloaded, each_of
from gateway.settings import Settings, load
from gateway.settings.identity_checks import exposures
from gateway.settings.shown_keys import shown_keys

_log = logging.getLogger("gateway")


def serve(
    config: ConfigOption = None,
    address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT to listen on; port 0 takes a free one."),
    ] = None,
    http_address: Annotated[
        str | None,
        typer.Option(
            help="HOST:PORT for the APIs of vendors, likewise; without: none."
        ),
    ] = None,
    metrics_address: Annotated[
        str | None,
        typer.Option(help="HOST:PORT of an endpoint for Prometheus, likewise."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes that serve together; otherwise one per core.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Listen until SIGTERM or SIGINT, then let the calls in flight finish."""
    source = Source(
        config,
        partial(
            load,
            config,
            address=address,
            http_address=http_address,
            metrics_address=metrics_address,
            workers=workers,
        ),
    )
    settings = source.first()
    ignore_until_it_serves()
    from gateway.identity.certificates import CertificateError
    from gateway.listening import AddressError
    from gateway.logs import lines_to_stderr
    from gateway.logs.audit import CannotWrite, audit
    from gateway.settings.credentials import WrongKeysError
    from gateway.tenants.ledger import LedgerUnusable
    from gateway.workers.cores import can_share_a_port, workers_by_default
    from gateway.workers.supervising import CannotServe

    count = settings.server.workers or workers_by_default()
    if count > 1 and not can_share_a_port():
        fail("server.workers: more than one needs Linux", MISTAKE)
    try:
        with lines_to_stderr(settings.logs), audit(settings.logs) as noted:
            if count == 1:
                with asyncio.Runner(loop_factory=loop_factory()) as runner:
                    runner.run(_serve(source, settings, noted))
            else:
                asyncio.run(_supervise(source, settings, count, noted))
    except (
        AddressError,
        CannotServe,
        CannotWrite,
        CertificateError,
        LedgerUnusable,
        WrongKeysError,
    ) as error:
        fail(str(error))


async def _serve(source: Source, settings: Settings, noted: Emit) -> None:
    from gateway.compose import gateway
    from gateway.logs import EventLog

    stop = _stop_signal()
    emit = each_of(EventLog(settings.logs), noted)
    async with gateway(settings, emit) as running:
        settle_memory()
        _listening(
            settings, running.address, running.http_address, running.metrics_address
        )

        async def put(wanted: Settings) -> None:
            (await running.prepare(wanted)).apply()

        async def tell(how: Reloaded) -> None:
            running.tell(how)

        async with reloads(source, settings, settings, put=put, tell=tell) as now:
            await stop.wait()
        _stopping(now.settings)
        await running.server.stop(grace_s=now.settings.server.grace_s)
    _log.info("stopped")


async def _supervise(source: Source, began: Settings, count: int, noted: Emit) -> None:
    """Have workers serve, which share one port; serve nothing here but their metrics."""
    from gateway.logs import EventLog
    from gateway.workers.supervising import Workers

    stop = _stop_signal()
    async with AsyncExitStack() as parts:
        address = _taken(began.server.address, parts)
        http_address = ""
        if began.http.address:
            http_address = _taken(began.http.address, parts)
        settings = began.model_copy(
            update={
                "server": began.server.model_copy(update={"address": address}),
                "http": began.http.model_copy(update={"address": http_address}),
            }
        )
        metrics_address = ""
        if settings.telemetry.metrics_address:
            from gateway.workers.metrics import Metrics

            metrics = Metrics()
            workers = Workers(settings, count=count, departed=metrics.departed)
            metrics_address = await parts.enter_async_context(
                metrics.shown(settings, of=workers)
            )
        else:
            workers = Workers(settings, count=count)
        log = each_of(EventLog(settings.logs), noted)

        async def tell(how: Reloaded) -> None:
            log(how)
            await workers.count(how)

        running = asyncio.create_task(workers.run())
        try:
            await _first(stop, workers.all_served, running)
            if workers.all_served.is_set():
                _listening(
                    settings, address, http_address, metrics_address, workers=count
                )
                async with reloads(source, began, settings, put=workers.put, tell=tell):
                    await _first(stop, running)
        finally:
            if not running.done():
                _stopping(workers.settings)
            await workers.stop(running)
        if not running.cancelled():  # as it is where one had to be killed
            running.result()
    _log.info("stopped")


def _taken(address: str, parts: AsyncExitStack) -> str:
    """Keep an address for all workers, and give it with the port that was taken."""
    from gateway.listening import held

    holding = parts.enter_context(held(address))
    return f"{address.rpartition(':')[0]}:{holding.getsockname()[1]}"


async def _first(*these: "asyncio.Event | asyncio.Task[None]") -> None:
    """Wait until one of them is set, or has ended."""
    tasks = {
        asyncio.create_task(each.wait()) if isinstance(each, asyncio.Event) else each
        for each in these
    }
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await ended(*(each for each in tasks if each not in these))


def _listening(
    settings: Settings,
    address: str,
    http_address: str,
    metrics_address: str,
    *,
    workers: int = 1,
) -> None:
    routes = ", ".join(
        f"{name} = {' > '.join(route.backends)}"
        for name, route in settings.routes.items()
    )
    several = f", {workers} workers" if workers > 1 else ""
    _log.info("listening on %s, routes: %s%s", address, routes, several)
    tls = settings.tls
    if http_address:
        scheme = "https" if tls.serves("http") else "http"
        _log.info("the APIs of vendors at %s://%s", scheme, http_address)
    if metrics_address:
        scheme = "https" if tls.serves("metrics") else "http"
        _log.info("metrics at %s://%s/metrics", scheme, metrics_address)
    for warning in (*exposures(settings), *shown_keys(settings)):
        _log.warning(warning)


def _stopping(settings: Settings) -> None:
    grace_s = settings.server.grace_s
    _log.info("stopping: calls in flight have %.0f s to finish", grace_s)


def _stop_signal() -> asyncio.Event:
    """Give what is set when the process is to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    return stop
