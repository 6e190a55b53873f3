"""Make the collection of `make demo` from SciFact: `python -m benchmarks.relevance.demo_sample`.

The claims are the first eight of the test set (by id) for which BM25 finds a judged
abstract among its first 20 of all 5183 and does not put it first. The abstracts are all
judged ones of these claims, and then BM25's best for each claim in turn, until there are
300. What vectors or reranking make of a claim has no part in this.
"""

import gzip
import json
from collections.abc import Iterable
from itertools import zip_longest
from pathlib import Path

from benchmarks.relevance.collection import Collection, read
from benchmarks.relevance.retrieval import bm25_first
from gateway.evaluation.reading import json_lines

SCIFACT = Path(__file__).parent / "scifact"
SAMPLE = Path(__file__).parents[2] / "clients/demo/scifact"

_CLAIMS = 8
_ABSTRACTS = 300


def main() -> None:
    collection = read(SCIFACT)
    found = bm25_first(collection, count=_ABSTRACTS)
    claims = _claims(collection, found)
    chosen = {name for claim in claims for name in collection.judgements[claim]}
    for names in zip_longest(*(found[claim] for claim in claims)):
        for name in names:
            if name is not None and len(chosen) < _ABSTRACTS:
                chosen.add(name)
    SAMPLE.mkdir(exist_ok=True)
    abstracts = _lines(
        {"_id": each["_id"], "title": each["title"], "text": each["text"]}
        for _, each in json_lines(SCIFACT / "corpus.jsonl.gz")
        if each["_id"] in chosen
    )
    # Without the time, so that the same sample is the same file.
    (SAMPLE / "corpus.jsonl.gz").write_bytes(gzip.compress(abstracts, mtime=0))
    (SAMPLE / "queries.jsonl").write_bytes(
        _lines({"_id": claim, "text": collection.queries[claim]} for claim in claims)
    )
    rows = ["query-id\tcorpus-id\tscore"]
    rows += [
        f"{claim}\t{name}\t{grade}"
        for claim in claims
        for name, grade in collection.judgements[claim].items()
    ]
    (SAMPLE / "qrels.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    print(f"{len(claims)} claims, {len(chosen)} abstracts in {SAMPLE}")


def _claims(collection: Collection, found: dict[str, list[str]]) -> list[str]:
    claims = []
    for claim in sorted(collection.queries, key=int):
        judged = collection.judgements[claim].keys()
        places = [place for place, name in enumerate(found[claim]) if name in judged]
        if places and 0 < places[0] < 20:  # noqa: PLR2004 - the first 20, not the first
            claims.append(claim)
    return claims[:_CLAIMS]


def _lines(objects: Iterable[dict[str, str]]) -> bytes:
    return "".join(
        json.dumps(each, ensure_ascii=False) + "\n" for each in objects
    ).encode()


if __name__ == "__main__":
    main()
