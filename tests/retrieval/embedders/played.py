"""Vendors of embeddings played without sockets, and an embedder that does as it is told."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from gateway.backends.errors import BackendError
from gateway.backends.facts import Facts
from gateway.retrieval.embedder import Embedder, Embeddings, Purpose, refuse_blank
from gateway.retrieval.embedders import DIALECTS
from gateway.retrieval.embedders.http import HttpEmbedder
from tests.support.vendors import Handler, Played, reply

NEVER = 1e9
"""A deadline that no test reaches."""

DIMENSION = 8


def direction(text: str, dimension: int = DIMENSION) -> list[float]:
    """Give every text a vector of its own, of some length."""
    digest = hashlib.blake2b(text.encode(), digest_size=dimension).digest()
    return [byte - 127.5 for byte in digest]


def unit(text: str, dimension: int = DIMENSION) -> NDArray[np.float32]:
    """Give the same, of length 1."""
    vector = np.array(direction(text, dimension))
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


def texts_for(count: int) -> list[str]:
    return [f"text {number}" for number in range(count)]


def facts(max_texts: int = 3, model: str = "m", *, fixed: bool = True) -> Facts:
    return Facts(max_documents=max_texts, model=model, fixed=fixed)


def over(
    vendor: Handler,
    dialect: str,
    *,
    model: str = "",
    key: str = "",
    dimension: int | None = None,
    known: Facts | None = None,
) -> HttpEmbedder:
    """Build the embedder for a dialect over a played vendor."""
    spelling = DIALECTS[dialect]
    return HttpEmbedder(
        name="v",
        dialect=spelling,
        url=f"http://vendor.test{spelling.path}",
        headers=spelling.credentials(key) if key else {},
        transport=Played(vendor),
        facts=known or facts(model=model),
        model=model,
        dimension=dimension,
    )


async def ask(
    embedder: Embedder,
    texts: Sequence[str],
    *,
    purpose: Purpose = Purpose.QUERY,
    deadline: float = NEVER,
) -> Embeddings:
    return await embedder.embed(texts, purpose=purpose, deadline=deadline)


# Vendors that keep to their documentation: each takes what it documents and no more.


async def _tei(request: httpx.Request) -> httpx.Response:
    asked = json.loads(request.content)
    assert set(asked) <= {"inputs", "truncate", "normalize"}
    assert len(asked["inputs"]) <= 32
    return reply([direction(text) for text in asked["inputs"]])


async def _openai(request: httpx.Request) -> httpx.Response:
    asked = json.loads(request.content)
    assert set(asked) <= {"input", "model", "encoding_format"}
    data = [
        {"object": "embedding", "index": place, "embedding": direction(text)}
        for place, text in enumerate(asked["input"])
    ]
    usage = {"prompt_tokens": 9, "total_tokens": 9}
    return reply({"object": "list", "data": data[::-1], "model": "m", "usage": usage})


async def _cohere(request: httpx.Request) -> httpx.Response:
    asked = json.loads(request.content)
    assert set(asked) == {"model", "input_type", "texts", "embedding_types"}
    assert len(asked["texts"]) <= 96
    vectors = [direction(text) for text in asked["texts"]]
    return reply({"id": "1", "embeddings": {"float": vectors}, "texts": asked["texts"]})


WELL_BEHAVED: Mapping[str, Handler] = {
    "cohere": _cohere,
    "openai": _openai,
    "tei": _tei,
}


# An embedder that does as it is told

Step = Callable[["FakeEmbedder", Sequence[str]], Awaitable[Embeddings]]


class FakeEmbedder:
    """Plays one step per call; the last one is played for ever.

    Without any step it gives each text its `unit` vector.
    """

    def __init__(self, *steps: Step) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.purposes: list[Purpose] = []
        self.deadlines: list[float] = []
        self.running = 0
        self.most_running = 0
        self.cancelled = 0
        self._steps = steps or (embeds(),)

    @property
    def sizes(self) -> list[int]:
        return [len(texts) for texts in self.calls]

    async def embed(
        self, texts: Sequence[str], *, purpose: Purpose, deadline: float
    ) -> Embeddings:
        refuse_blank(texts)
        step = self._steps[min(len(self.calls), len(self._steps) - 1)]
        self.calls.append(tuple(texts))
        self.purposes.append(purpose)
        self.deadlines.append(deadline)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            return await step(self, texts)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.running -= 1


def embeds(
    model: str = "m", *, dimension: int = DIMENSION, after_s: float = 0.0, **more: Any
) -> Step:
    """Give each text its vector, after a while."""

    async def step(_: FakeEmbedder, texts: Sequence[str]) -> Embeddings:
        if after_s:
            await asyncio.sleep(after_s)
        rows = np.stack([unit(text, dimension) for text in texts])
        return Embeddings(vectors=rows, model=model, **more)

    return step


def fails(make: Callable[[], BackendError], *, after_s: float = 0.0) -> Step:
    """Raise a new error in every call, after a while."""

    async def step(_: FakeEmbedder, __: Sequence[str]) -> Embeddings:
        if after_s:
            await asyncio.sleep(after_s)
        raise make()

    return step


def takes_at_most(limit: int, refuse: Callable[[int], BackendError]) -> Step:
    """Refuse what is longer, given how long it is."""

    async def step(fake: FakeEmbedder, texts: Sequence[str]) -> Embeddings:
        if len(texts) > limit:
            raise refuse(len(texts))
        return await embeds()(fake, texts)

    return step
