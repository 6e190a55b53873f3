"""Queries and judgements as BEIR has them, and as it does not."""

import gzip
from pathlib import Path

import pytest

from gateway.evaluation.reading import Unreadable, read_judgements, read_questions

_HEADER = "query-id\tcorpus-id\tscore\n"
_QUERIES = '{"_id": "1", "text": "one"}\n\n{"id": 2, "text": "two"}\n'


def _files(folder: Path, queries: str, qrels: str) -> tuple[Path, Path]:
    (folder / "queries.jsonl").write_text(queries)
    (folder / "qrels.tsv").write_text(qrels)
    return folder / "queries.jsonl", folder / "qrels.tsv"


def test_queries_stand_in_the_order_of_the_judgements(tmp_path: Path) -> None:
    files = _files(tmp_path, _QUERIES, _HEADER + "2\ta\t1\n1\tb\t2\n2\tc\t0\n")

    questions = read_questions(*files)

    assert list(questions.queries.items()) == [("2", "two"), ("1", "one")]
    assert questions.judgements == {"2": {"a": 1, "c": 0}, "1": {"b": 2}}


def test_queries_without_a_relevant_document_are_left_out(tmp_path: Path) -> None:
    files = _files(tmp_path, _QUERIES, _HEADER + "2\ta\t0\n1\tb\t1\n")

    assert list(read_questions(*files).queries) == ["1"]


def test_only_the_first_may_be_read(tmp_path: Path) -> None:
    files = _files(tmp_path, _QUERIES, _HEADER + "2\ta\t1\n1\tb\t1\n")

    questions = read_questions(*files, at_most=1)

    assert list(questions.queries) == list(questions.judgements) == ["2"]


def test_queries_may_be_compressed(tmp_path: Path) -> None:
    _, qrels = _files(tmp_path, "", _HEADER + "1\tb\t1\n")
    queries = tmp_path / "queries.jsonl.gz"
    queries.write_bytes(gzip.compress(_QUERIES.encode()))

    assert read_questions(queries, qrels).queries == {"1": "one"}


@pytest.mark.parametrize(
    ("queries", "qrels", "said"),
    [
        (_QUERIES, "1 0 a 1\n", "qrels.tsv:1: must be query-id, corpus-id, score"),
        (_QUERIES, "", "qrels.tsv:1: must be query-id"),
        (_QUERIES, _HEADER + "1\ta\tmuch\n", "qrels.tsv:2: is no query"),
        (_QUERIES, _HEADER + "1\ta\n", "qrels.tsv:2: is no query"),
        (_QUERIES, _HEADER + "1\ta\t0\n", "no query has a relevant document"),
        (_QUERIES, _HEADER + "3\ta\t1\n", "query 3 is missing"),
        ('{"_id": "1"}\n', _HEADER + "1\ta\t1\n", "queries.jsonl:1: has no 'text'"),
        ('{"text": "a"}\n', _HEADER + "1\ta\t1\n", "queries.jsonl:1: has no 'id'"),
        ("\n{\n", _HEADER + "1\ta\t1\n", "queries.jsonl:2: is no JSON object"),
        ("[]\n", _HEADER + "1\ta\t1\n", "queries.jsonl:1: is no JSON object"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    tmp_path: Path, queries: str, qrels: str, said: str
) -> None:
    with pytest.raises(Unreadable) as raised:
        read_questions(*_files(tmp_path, queries, qrels))

    assert said in str(raised.value)


def test_a_file_that_is_missing_or_cut_is_told(tmp_path: Path) -> None:
    queries, qrels = _files(tmp_path, _QUERIES, _HEADER + "1\ta\t1\n")
    cut = tmp_path / "cut.jsonl.gz"
    cut.write_bytes(gzip.compress(_QUERIES.encode())[:20])

    with pytest.raises(Unreadable, match=r"missing\.tsv: No such file"):
        read_judgements(tmp_path / "missing.tsv")
    with pytest.raises(Unreadable, match=r"cut\.jsonl\.gz: "):
        read_questions(cut, qrels)
    with pytest.raises(Unreadable, match=r"queries\.jsonl\.gz: "):
        read_questions(queries.rename(tmp_path / "queries.jsonl.gz"), qrels)
