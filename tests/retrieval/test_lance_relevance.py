"""Full-text search on real documents is as good as BM25 is known to be there."""

import gzip
import json
import math
from pathlib import Path

import pytest

from gateway.retrieval.retriever import Document
from tests.retrieval.contract import ask, ids
from tests.retrieval.test_lance import opened

pytestmark = pytest.mark.real_time

_SCIFACT = Path(__file__).parents[2] / "benchmarks" / "relevance" / "scifact"


async def test_claims_find_their_abstracts_by_words(tmp_path: Path) -> None:
    documents = [
        Document(each["_id"], each["title"], each["text"], None)
        for each in _lines("corpus.jsonl.gz")
    ]
    judged: dict[str, set[str]] = {}
    for line in (_SCIFACT / "qrels.tsv").read_text().splitlines()[1:]:
        query, name, relevance = line.split("\t")
        if int(relevance):
            judged.setdefault(query, set()).add(name)
    claims = [each for each in _lines("queries.jsonl.gz") if each["_id"] in judged]
    async with opened(tmp_path, tidy_every_s=60.0) as engine:
        await engine.create_collection("books", fields=(), dimension=0, embedder="")
        for start in range(0, len(documents), 1000):
            await engine.upsert("books", documents[start : start + 1000], embedder="")
        table = await engine._table("books")
        await table.tidy(keep_versions_s=600.0)
        gains = [
            _ndcg_at_10(
                ids((await ask(engine, each["text"])).bm25), judged[each["_id"]]
            )
            for each in claims
        ]
    # bm25s, with the same stemmer, reaches 0.679; without stemming it is 0.657.
    assert sum(gains) / len(gains) > 0.67


def _lines(name: str) -> list[dict[str, str]]:
    with gzip.open(_SCIFACT / name, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _ndcg_at_10(found: list[str], relevant: set[str]) -> float:
    gain = sum(
        1 / math.log2(rank + 2)
        for rank, name in enumerate(found[:10])
        if name in relevant
    )
    return gain / sum(1 / math.log2(rank + 2) for rank in range(min(10, len(relevant))))
