"""Vendors on real sockets that die and come back at the same address."""

import asyncio
import re
import socket
from types import TracebackType
from typing import Self

import numpy as np

from tests.e2e.shapes import SHAPES
from tests.e2e.vendor import Exchange, Vendor, _Connection, reply_json
from tests.support.embedders import DIMENSION
from tests.support.embedders import unit as direction

MODEL = "played"


class Mortal(Vendor):
    """Listens until it is killed, and again when it is revived.

    `served` are the queries that it answered to the end.
    """

    served: set[str]
    alive = False

    async def __aenter__(self) -> Self:
        # Bound all the time, so that nobody else gets the port while it is dead.
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))
        self._port = self._held.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self.served = set()
        await self.revive()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await super().__aexit__(kind, error, trace)
        self._held.close()

    def kill(self) -> None:
        """End as a killed process does: nobody listens, every connection is reset."""
        self._server.close()
        for connection in list(self._connections):
            connection.reset()
        self.alive = False

    async def revive(self) -> None:
        """Listen again."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self), "127.0.0.1", self._port, reuse_port=True
        )
        self.alive = True


class Embedder(Mortal):
    """Speaks as OpenAI does; texts with words in common are near."""

    def __init__(self) -> None:
        super().__init__(self._embed)

    async def _embed(self, exchange: Exchange) -> None:
        texts = exchange.received.json["input"]
        data = [
            {"index": place, "embedding": _meant(each)}
            for place, each in enumerate(texts)
        ]
        await reply_json({"data": data, "model": MODEL})(exchange)
        self.served |= set(texts)


class Reranker(Mortal):
    """Speaks as TEI does; a shorter text is better."""

    def __init__(self) -> None:
        (shape,) = SHAPES["tei"]
        super().__init__(self._rerank, info=shape.info)
        self._shape = shape

    async def _rerank(self, exchange: Exchange) -> None:
        await self._shape.scored(lambda text: -len(text) / 100)(exchange)
        self.served.add(exchange.received.json["query"])


def _meant(text: str) -> list[float]:
    words = re.findall(r"\w+", text.casefold())
    whole = np.sum([direction(each, DIMENSION) for each in words], axis=0)
    return [float(number) for number in whole]
