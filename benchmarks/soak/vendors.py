"""Three vendors that mostly answer, and otherwise fail in every way, by a fixed seed."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import blake2b
from random import Random

from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Play, Vendor, hang, hang_in_body, reply, reset

REPLICATED, LAST = "replicated", "last"
"""The backends: the first one has two servers."""

_SHAPE = SHAPES["simple"][0]

_SEED = 5
_GOOD = 0.95
# Longer than the gateway lets an attempt take.
_SLOWEST_S = 3.0
# A vendor is now and then down as a whole, so that circuits open and close.
_EPOCH_S = 20.0
_DOWN = 0.1


def score_of(backend: str, query: str, text: str) -> float:
    """Say what the model of a backend makes of a pair: always the same, from 0 to 1."""
    said = f"{backend}\0{query}\0{text}".encode()
    return int.from_bytes(blake2b(said, digest_size=4).digest(), "big") / 2**32


@asynccontextmanager
async def playing() -> AsyncIterator[dict[str, str]]:
    """Run the vendors, and give what the environment tells a gateway about them."""
    async with AsyncExitStack() as stack:
        urls = []
        for place, backend in enumerate((REPLICATED, REPLICATED, LAST)):
            chance = Random(_SEED + place)  # noqa: S311 - it plays
            vendor = await stack.enter_async_context(Vendor(hang))
            vendor.play = _moody(vendor, backend, chance)
            urls.append(vendor.url)
        prefix = "RERANK_GATEWAY__BACKENDS"
        yield {
            f"{prefix}__REPLICATED__URLS": f'["{urls[0]}", "{urls[1]}"]',
            f"{prefix}__LAST__URL": urls[2],
            **{
                f"{prefix}__{backend.upper()}__{key}": value
                for backend in (REPLICATED, LAST)
                for key, value in _BACKEND.items()
            },
        }


_BACKEND = {
    "DIALECT": "simple",
    "SCALE": "probability",
    "TIMEOUT_S": "0.5",
    "FAIR_S": "0.1",
    "COOLDOWN_S": "1",
    "MAX_DOCUMENTS": "8",
}


def _moody(vendor: Vendor, backend: str, chance: Random) -> Play:
    """Draw for each request what becomes of it."""
    loop = asyncio.get_running_loop()
    failures = (
        _slow(backend, chance),
        hang,
        hang_in_body,
        reset,
        reply(500, b"{}"),
        reply(429, b"{}", headers={"Retry-After": "1"}),
        reply(200, b'{"results": [{"index": 0, "relevance_score": 0.5'),
        reply(200, b'{"results": []}'),
    )
    down: dict[int, Play | None] = {}

    async def play(exchange: Exchange) -> None:
        vendor.received.clear()  # it keeps everything, and this takes long
        epoch = math.floor(loop.time() / _EPOCH_S)
        if epoch not in down:
            down.clear()
            down[epoch] = chance.choice(failures) if chance.random() < _DOWN else None
        chosen = _good(backend)
        if (whole := down[epoch]) is not None:
            chosen = whole
        elif chance.random() > _GOOD:
            chosen = chance.choice(failures)
        await asyncio.sleep(chance.expovariate(1 / 0.01))
        await chosen(exchange)

    return play


def _good(backend: str) -> Play:
    async def play(exchange: Exchange) -> None:
        query = exchange.received.json["query"]
        right = _SHAPE.scored(lambda text: score_of(backend, query, text))
        await right(exchange)

    return play


def _slow(backend: str, chance: Random) -> Play:
    good = _good(backend)

    async def play(exchange: Exchange) -> None:
        await asyncio.sleep(chance.uniform(0, _SLOWEST_S))
        await good(exchange)

    return play
