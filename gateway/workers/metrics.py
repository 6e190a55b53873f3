"""The metrics of all workers, from one endpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Metric

from gateway.telemetry.scrape import scrape
from gateway.telemetry.summing import Summed
from gateway.workers.supervising import Workers


class Metrics:
    """Adds up what workers count."""

    def __init__(self) -> None:
        self._summed = Summed()
        self.departed = self._summed.forget
        """Takes the last numbers of a worker that is gone."""

    @asynccontextmanager
    async def shown(self, address: str, *, of: Workers) -> AsyncIterator[str]:
        """Answer Prometheus while the block runs; gives the address, with its port.

        Args:
            address: HOST:PORT; port 0 takes a free one.
            of: Whose numbers.

        Raises:
            AddressError: In use, not ours, or not resolvable.

        """

        async def families() -> list[Metric]:
            told = await of.numbers()
            return self._summed.families(told)

        async with scrape(families, address) as taken:
            yield taken
