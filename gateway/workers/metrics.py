"""The metrics of all workers, from one endpoint."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from prometheus_client import Metric

from gateway.concurrency import in_the_background
from gateway.settings import Settings
from gateway.settings.credentials import certificates
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
    async def shown(self, settings: Settings, *, of: Workers) -> AsyncIterator[str]:
        """Answer Prometheus while the block runs; gives the address, with its port.

        Args:
            settings: With HOST:PORT of the endpoint; port 0 takes a free one.
            of: Whose numbers.

        Raises:
            AddressError: In use, not ours, or not resolvable.
            CertificateError: A file of TLS cannot be used.

        """

        async def families() -> list[Metric]:
            told = await of.numbers()
            return self._summed.families(told)

        telemetry, tls = settings.telemetry, settings.tls
        async with AsyncExitStack() as parts:
            secure = None
            if tls.serves("metrics") and (shown := certificates(tls)):
                looking = shown.watch(every_s=tls.look_every_s)
                await parts.enter_async_context(in_the_background(looking))
                secure = shown.context()
            yield await parts.enter_async_context(
                scrape(
                    families,
                    telemetry.metrics_address,
                    secure=secure,
                    key_sha256=telemetry.metrics_sha256,
                )
            )
