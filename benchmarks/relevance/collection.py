"""Read a collection of documents, queries and judgements from a BEIR-like folder."""

import csv
import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, queries, and which answer which."""

    documents: dict[str, str]
    """Title and text by the document's id, in the order of the file."""
    queries: dict[str, str]
    """By id: those with at least one relevant document, in the judgements' order."""
    judgements: dict[str, dict[str, int]]
    """By query, by document: the grade; above 0 is relevant."""


def read(directory: Path) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl` (both may be `.gz`) and the judgements.

    The judgements are `qrels.tsv`, or `qrels/test.tsv` as BEIR has it.

    Raises:
        FileNotFoundError: One of them is missing; the message names it.

    """
    documents = {
        each["_id"]: f"{each.get('title', '')} {each['text']}".strip()
        for each in _lines(_either(directory, "corpus.jsonl", "corpus.jsonl.gz"))
    }
    texts = {
        each["_id"]: each["text"]
        for each in _lines(_either(directory, "queries.jsonl", "queries.jsonl.gz"))
    }
    judgements: dict[str, dict[str, int]] = {}
    with _either(directory, "qrels.tsv", "qrels/test.tsv").open("rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            grades = judgements.setdefault(row["query-id"], {})
            grades[row["corpus-id"]] = int(row["score"])
    answerable = {
        query: grades
        for query, grades in judgements.items()
        if max(grades.values()) > 0
    }
    return Collection(
        documents=documents,
        queries={query: texts[query] for query in answerable},
        judgements=answerable,
    )


def _either(directory: Path, *names: str) -> Path:
    for name in names:
        if (directory / name).exists():
            return directory / name
    message = f"{directory}: neither {' nor '.join(names)}"
    raise FileNotFoundError(message)


def _lines(path: Path) -> Iterator[dict[str, str]]:
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
