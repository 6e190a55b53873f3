"""Sends what was counted to a collector, again and again, and once more at the end."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExporter,
    MetricExportResult,
)
from opentelemetry.sdk.resources import Resource

from gateway.concurrency import in_the_background
from gateway.settings import TelemetrySettings
from gateway.telemetry.aside import aside
from gateway.telemetry.instruments import Instruments
from gateway.telemetry.otlp import over_otlp
from gateway.telemetry.snapshot import snapshot

_log = logging.getLogger(__name__)

_CLOSING_S = 2.25
"""The last one, with one that is under way before it; then the collector misses it."""
_SHUTTING_S = 0.2


def exporter(settings: TelemetrySettings) -> MetricExporter:
    """Make what sends numbers where `OTEL_*` wants them.

    Args:
        settings: Which protocol; the rest is read by the exporter itself.

    """
    if settings.metrics.exporter == "console":
        return ConsoleMetricExporter()
    sender: MetricExporter = over_otlp(settings.metrics, "metrics")
    return sender


class Push:
    """Sends all numbers at an interval. What goes wrong with it is nobody's problem here.

    Args:
        instruments: What is sent.
        exporter: Sends it.
        resource: Whose numbers they are.
        interval_s: Time from the end of one sending to the begin of the next.

    """

    def __init__(
        self,
        *,
        instruments: Instruments,
        exporter: MetricExporter,
        resource: Resource,
        interval_s: float,
    ) -> None:
        self._instruments = instruments
        self._exporter = exporter
        self._resource = resource
        self._interval_s = interval_s
        self._sending: asyncio.Future[MetricExportResult | None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs, and what is new at its end."""
        try:
            async with in_the_background(self._again_and_again()):
                yield
        finally:
            await self._end()

    async def _again_and_again(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self._send()

    async def _send(self) -> None:
        self._instruments.look()
        self._sending = aside(self._export)
        await asyncio.wait([self._sending])

    def _export(self) -> MetricExportResult:
        return self._exporter.export(
            snapshot(
                self._instruments.registry.collect(),
                resource=self._resource,
                began_ns=self._instruments.began_unix_ns,
                now_ns=time.time_ns(),
            )
        )

    async def _end(self) -> None:
        try:
            async with asyncio.timeout(_CLOSING_S):
                if self._sending:
                    await asyncio.wait([self._sending])
                await self._send()
        except TimeoutError:
            _log.warning("the last numbers were not sent: no answer in time")
        await asyncio.wait([aside(self._exporter.shutdown)], timeout=_SHUTTING_S)
