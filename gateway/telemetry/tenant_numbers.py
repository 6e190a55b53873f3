"""Counts what tenants use, and what they were refused."""

from prometheus_client import CollectorRegistry

from gateway.events import CallMetered, TenantRefused
from gateway.telemetry import catalogue
from gateway.telemetry.series import Counting


class TenantNumbers:
    """The instruments of tenants.

    Args:
        registry: Where they are shown.

    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._units = Counting(catalogue.TENANT_UNITS, registry)
        self._cost = Counting(catalogue.TENANT_COST, registry)
        self._refused = Counting(catalogue.TENANT_REFUSED, registry)

    def metered(self, call: CallMetered) -> None:
        """Count what a call to a backend used."""
        for unit, amount in (
            ("calls", call.calls),
            ("search_units", call.search_units),
            ("tokens", call.tokens),
        ):
            if amount:
                self._units.add(amount, call.tenant, call.backend, unit)
        if call.cost:
            self._cost.add(call.cost, call.tenant, call.backend)

    def refused(self, event: TenantRefused) -> None:
        """Count what was not allowed."""
        self._refused.add(1, event.tenant, event.quota)
