"""Counts how often the configuration was read again, and tells which one serves."""

import time

from prometheus_client import CollectorRegistry

from gateway.events import ReloadOutcome
from gateway.telemetry import catalogue
from gateway.telemetry.series import Counting, Measuring


class Configurations:
    """What is told of configurations.

    Args:
        registry: Where it is shown.

    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._reloads = Counting(catalogue.CONFIG_RELOADS, registry)
        self._success = Measuring(catalogue.CONFIG_SUCCESS, registry)
        self._time = Measuring(catalogue.CONFIG_TIME, registry)
        for outcome in ReloadOutcome:
            self._reloads.add(0, outcome.lower())
        self._read()

    def reloaded(self, outcome: ReloadOutcome) -> None:
        """Count one that was read again."""
        self._reloads.add(1, outcome.lower())
        if outcome is ReloadOutcome.REFUSED:
            self._success.set(0)
        else:
            self._read()

    def _read(self) -> None:
        self._success.set(1)
        self._time.set(time.time())
