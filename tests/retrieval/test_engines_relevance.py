"""On real documents each engine is as good as BM25 is known to be, and they are alike."""

import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from gateway.ranking.candidates import Weights, by_rrf
from gateway.retrieval.lance.engine import LanceRetriever
from gateway.retrieval.retriever import Document, Leg, Query, Retriever
from gateway.retrieval.terms import term_counts
from tests.retrieval.qdrants import reached
from tests.retrieval.weaviates import reached as reached_weaviate
from tests.support.qdrant_server import qdrant_server
from tests.support.weaviate_server import one_weaviate

pytestmark = pytest.mark.real_time

_SCIFACT = Path(__file__).parents[2] / "benchmarks" / "relevance" / "scifact"
_DIMENSION = 128
_ALIKE = 0.02

Collection = tuple[list[Document], dict[str, str], dict[str, set[str]]]
Opens = Callable[[Path], AbstractAsyncContextManager[Retriever]]


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Retriever]:
    engine = LanceRetriever(
        folder,
        writes=True,
        vector_index_from=1_000_000,
        tidy_every_s=3600.0,
        keep_versions_s=600.0,
    )
    await engine.open()
    try:
        yield engine
    finally:
        await engine.close()


@asynccontextmanager
async def qdrant(folder: Path) -> AsyncIterator[Retriever]:
    async with qdrant_server(folder) as server, reached(server.address) as engine:
        yield engine


@asynccontextmanager
async def weaviate(folder: Path) -> AsyncIterator[Retriever]:
    with one_weaviate(folder) as node:
        async with reached_weaviate([node]) as engine:
            yield engine


@dataclass(frozen=True, slots=True)
class Measured:
    """nDCG@10 over all claims."""

    fulltext: float
    hybrid: float


@pytest.fixture(scope="module")
def collection() -> Collection:
    return read()


@pytest.fixture(scope="module")
def of_the_embedded(
    collection: Collection, tmp_path_factory: pytest.TempPathFactory
) -> Measured:
    return asyncio.run(found_by(embedded, tmp_path_factory.mktemp("lance"), collection))


@pytest.mark.parametrize("opens", [qdrant, weaviate])
def test_engines_find_alike(
    tmp_path: Path, collection: Collection, of_the_embedded: Measured, opens: Opens
) -> None:
    one = of_the_embedded
    other = asyncio.run(found_by(opens, tmp_path, collection))
    # bm25s, with the same stemmer, reaches 0.679; without stemming it is 0.657.
    assert min(one.fulltext, other.fulltext) > 0.67, (one, other)
    assert abs(one.fulltext - other.fulltext) < _ALIKE, (one, other)
    assert abs(one.hybrid - other.hybrid) < _ALIKE, (one, other)
    # That both legs count is seen from the other figure.
    assert one.hybrid != one.fulltext


async def found_by(opens: Opens, folder: Path, collection: Collection) -> Measured:
    documents, claims, judged = collection
    async with opens(folder) as engine:
        await store(engine, documents)
        return await measured(engine, claims, judged)


def read() -> Collection:
    judged: dict[str, set[str]] = {}
    for line in (_SCIFACT / "qrels.tsv").read_text().splitlines()[1:]:
        query, name, relevance = line.split("\t")
        if int(relevance):
            judged.setdefault(query, set()).add(name)
    claims = {
        each["_id"]: each["text"]
        for each in _lines("queries.jsonl.gz")
        if each["_id"] in judged
    }
    documents = [
        Document(
            each["_id"],
            each["title"],
            each["text"],
            projected(f"{each['title']} {each['text']}"),
        )
        for each in _lines("corpus.jsonl.gz")
    ]
    return documents, claims, judged


async def store(engine: Retriever, documents: Sequence[Document]) -> None:
    await engine.create_collection(
        "books", fields=(), dimension=_DIMENSION, embedder=""
    )
    for start in range(0, len(documents), 1000):
        await engine.upsert("books", documents[start : start + 1000], embedder="")
    if isinstance(engine, LanceRetriever):
        table = await engine._table("books")
        await table.tidy(keep_versions_s=600.0)


async def measured(
    engine: Retriever, claims: Mapping[str, str], judged: Mapping[str, set[str]]
) -> Measured:
    fulltext, hybrid = [], []
    for name, text in claims.items():
        now = asyncio.get_running_loop().time()
        query = Query(text, projected(text), "", 100, None, 0, now)
        found = await engine.search("books", query)
        words, near = _scores(found.bm25), _scores(found.vector)
        fused = by_rrf(words, near, k=60, weights=Weights(1.0, 0.2), min_rrf_score=0.0)
        fulltext.append(_ndcg_at_10(list(words), judged[name]))
        hybrid.append(_ndcg_at_10([each.id for each in fused], judged[name]))
    return Measured(sum(fulltext) / len(fulltext), sum(hybrid) / len(hybrid))


def projected(text: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float32]]":
    """Give a vector without a model: each term has a direction of its own."""
    vector = np.zeros(_DIMENSION)
    for term, count in term_counts(text).items():
        vector += math.log1p(count) * len(term) * direction(term)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


@cache
def direction(term: str) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    chance = np.random.default_rng(list(term.encode()))
    return chance.standard_normal(_DIMENSION)


def _scores(leg: Leg | None) -> dict[str, float]:
    assert leg is not None
    assert leg.failure is None
    return {hit.id: hit.score for hit in leg.hits}


def _lines(name: str) -> list[dict[str, str]]:
    with gzip.open(_SCIFACT / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _ndcg_at_10(found: Sequence[str], relevant: set[str]) -> float:
    gain = sum(
        1 / math.log2(rank + 2)
        for rank, name in enumerate(found[:10])
        if name in relevant
    )
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
