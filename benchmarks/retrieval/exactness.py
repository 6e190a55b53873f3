"""What the engine finds, beside what comparing with every document finds."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import bm25s
import numpy as np

from benchmarks.retrieval.building import COLLECTION
from benchmarks.retrieval.synthetic import Asked, documents
from gateway.retrieval.retriever import Query, Retriever

_CANDIDATES = 100


@dataclass(frozen=True, slots=True)
class Exactness:
    """How much of the best the legs find, from 0 to 1."""

    words: float
    vectors: float


async def measure_exactness(
    engine: Retriever, several: Sequence[Asked], count: int
) -> Exactness:
    """Compare both legs with an exact search for a few queries."""
    made = documents(start=0, count=count)
    by_words = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    by_words.index([each.text.split() for each in made], show_progress=False)
    vectors = np.stack([each.vector for each in made if each.vector is not None])
    words, near = [], []
    for asked in several:
        query = Query(
            text=asked.text,
            vector=asked.vector,
            embedder="",
            candidates=_CANDIDATES,
            filter=None,
            min_version=0,
            deadline=asyncio.get_running_loop().time(),
        )
        found = await engine.search(COLLECTION, query)
        if found.bm25 is None or found.vector is None:
            continue
        scores = by_words.get_scores(asked.text.split())
        words.append(_kept(scores, [each.id for each in found.bm25.hits]))
        near.append(
            _kept(vectors @ asked.vector, [each.id for each in found.vector.hits])
        )
    return Exactness(words=float(np.mean(words)), vectors=float(np.mean(near)))


def _kept(
    scores: "np.ndarray[tuple[int], np.dtype[np.float32]]", names: list[str]
) -> float:
    """Tell how many of the names have a score that belongs to the best as many."""
    # By the score, not the name: which of equals are found is no mistake.
    least = float(np.sort(scores)[-len(names)]) if names else 0.0
    numbers = [int(name.removeprefix("doc-")) for name in names]
    return float(np.mean(scores[numbers] >= least - 1e-4)) if names else 1.0
