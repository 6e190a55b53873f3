"""Read a collection of documents, queries and judgements from a BEIR-like folder."""

from dataclasses import dataclass
from pathlib import Path

from gateway.evaluation.reading import Judgements, json_lines, read_questions


@dataclass(frozen=True, slots=True)
class Collection:
    """Documents, queries, and which answer which."""

    documents: dict[str, str]
    """Title and text by the document's id, in the order of the file."""
    queries: dict[str, str]
    """By id: those with at least one relevant document, in the judgements' order."""
    judgements: Judgements
    """By query, by document: the grade; above 0 is relevant."""


def read(directory: Path) -> Collection:
    """Read `corpus.jsonl`, `queries.jsonl` (both may be `.gz`) and the judgements.

    The judgements are `qrels.tsv`, or `qrels/test.tsv` as BEIR has it.

    Raises:
        FileNotFoundError: One of them is missing; the message names it.
        gateway.evaluation.reading.Unreadable: One of them is something else.

    """
    corpus = _either(directory, "corpus.jsonl", "corpus.jsonl.gz")
    questions = read_questions(
        _either(directory, "queries.jsonl", "queries.jsonl.gz"),
        _either(directory, "qrels.tsv", "qrels/test.tsv"),
    )
    return Collection(
        documents={
            each["_id"]: f"{each.get('title', '')} {each['text']}".strip()
            for _, each in json_lines(corpus)
        },
        queries=questions.queries,
        judgements=questions.judgements,
    )


def _either(directory: Path, *names: str) -> Path:
    for name in names:
        if (directory / name).exists():
            return directory / name
    message = f"{directory}: neither {' nor '.join(names)}"
    raise FileNotFoundError(message)
