"""An endpoint for Prometheus: `/metrics`, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from gateway.listening import bound
from gateway.telemetry.instruments import Instruments

# What is under way at the end; a reader who does not read is not waited for.
_CLOSING_S = 0.2


@asynccontextmanager
async def scrape(instruments: Instruments, address: str) -> AsyncIterator[str]:
    """Answer while the block runs; gives the address, with the port that was taken.

    Args:
        instruments: What is shown.
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
        instruments.look()
        # Some milliseconds for a thousand series: not on the loop.
        body = await asyncio.to_thread(encode, instruments.registry)
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
