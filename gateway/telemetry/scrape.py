"""An endpoint for Prometheus: `/metrics`, and nothing else."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder

from gateway.identity.keys import shows
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


def _metadata(request: web.Request) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in request.headers.items()]


@asynccontextmanager
async def scrape(
    families: Callable[[], Awaitable[Sequence[Metric]]],
    address: str,
    *,
    secure: ssl.SSLContext | None = None,
    key_sha256: str = "",
) -> AsyncIterator[str]:
    """Answer while the block runs; gives the address, with the port that was taken.

    Args:
        families: Gives what is shown.
        address: HOST:PORT; port 0 takes a free one.
        secure: What handshakes go by; None: no TLS.
        key_sha256: Of the one key that lets somebody read them; empty: anybody may.

    Raises:
        AddressError: In use, not ours, or not resolvable.

    """
    digest = bytes.fromhex(key_sha256)

    async def show(request: web.Request) -> web.Response:
        if digest and not shows(_metadata(request), digest):
            return web.Response(status=401, headers={"WWW-Authenticate": "Bearer"})
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
        await web.SockSite(runner, place, ssl_context=secure).start()
        yield f"{address.rpartition(':')[0]}:{place.getsockname()[1]}"
    finally:
        await runner.cleanup()
        place.close()
