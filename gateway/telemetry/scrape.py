"""An endpoint for Prometheus: `/metrics`, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder

from gateway.listening import bound

# What is under way at the end; a reader who does not read is not waited for.
_CLOSING_S = 0.2


class _Collected:
    """What was collected, as the encoders want it."""

    def __init__(self, families: Sequence[Metric]) -> None:
        self._families = families

    def collect(self) -> Sequence[Metric]:
        """Give it."""
        return self._families


@asynccontextmanager
async def scrape(
    families: Callable[[], Awaitable[Sequence[Metric]]], address: str
) -> AsyncIterator[str]:
    """Answer while the block runs; gives the address, with the port that was taken.

    Args:
        families: Gives what is shown.
        address: HOST:PORT; port 0 takes a free one.

    Raises:
        AddressError: In use, not ours, or not resolvable.

    """

    async def show(request: web.Request) -> web.Response:
        try:
            encode, content_type = choose_encoder(
                ",".join(request.headers.getall("Accept", ()))
            )
        except TypeError:  # it compares versions without a look at what they are
            encode, content_type = choose_encoder("")
        collected = _Collected(await families())
        # Some milliseconds for a thousand series: not on the loop.
        body = await asyncio.to_thread(encode, collected)
        response = web.Response(body=body, headers={"Content-Type": content_type})
        response.enable_compression()
        return response

    place = bound(address)
    app = web.Application()
    app.router.add_get("/metrics", show)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSING_S)
    try:
        await runner.setup()
        await web.SockSite(runner, place).start()
        yield f"{address.rpartition(':')[0]}:{place.getsockname()[1]}"
    finally:
        await runner.cleanup()
        place.close()
