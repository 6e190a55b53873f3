"""An embedder whose vectors mean something: texts with words in common are near."""

import asyncio
import re
from collections.abc import Sequence

import numpy as np

from gateway.retrieval.embedder import Embeddings
from tests.retrieval.embedders.played import (
    DIMENSION,
    FakeEmbedder,
    Step,
    direction,
    embeds,
    fails,
    takes_at_most,
    unit,
)

__all__ = [
    "DIMENSION",
    "FakeEmbedder",
    "Step",
    "embeds",
    "fails",
    "hangs",
    "reads",
    "takes_at_most",
    "unit",
]


def reads(
    model: str = "m", *, dimension: int = DIMENSION, after_s: float = 0.0
) -> Step:
    """Give each text the direction of all its words together, after a while."""

    async def step(_: FakeEmbedder, texts: Sequence[str]) -> Embeddings:
        if after_s:
            await asyncio.sleep(after_s)
        return Embeddings(np.stack([_meant(each, dimension) for each in texts]), model)

    return step


def hangs() -> Step:
    """Never answer."""

    async def step(_: FakeEmbedder, __: Sequence[str]) -> Embeddings:
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    return step


def _meant(
    text: str, dimension: int
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    words = re.findall(r"\w+", text.casefold()) or [text]
    whole = np.sum([direction(each, dimension) for each in words], axis=0)
    return np.asarray(whole / np.linalg.norm(whole), dtype=np.float32)
