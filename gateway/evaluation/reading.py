"""Read queries and judgements, laid out as BEIR does."""

import csv
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Judgements = dict[str, dict[str, int]]
"""By query, by document: the grade; above 0 is relevant."""

_COLUMNS = ("query-id", "corpus-id", "score")


class Unreadable(Exception):
    """A file is not what it should be; the message names the file, and the line."""


@dataclass(frozen=True, slots=True)
class Questions:
    """Queries of which is known what answers them."""

    queries: dict[str, str]
    """Texts by id: those with at least one relevant document, in the judgements' order."""
    judgements: Judgements
    """For the same queries, in the same order."""


def read_questions(
    queries: Path, qrels: Path, *, at_most: int | None = None
) -> Questions:
    """Read the queries that have a relevant document.

    Args:
        queries: JSON lines with `_id` (or `id`) and `text`; may be compressed (`.gz`).
        qrels: Tab-separated `query-id`, `corpus-id` and `score`, with these as header.
        at_most: How many queries, the first of the judgements; None: all.

    Raises:
        Unreadable: One of them is missing or is something else, or no query is left.

    """
    judgements = {
        query: grades
        for query, grades in read_judgements(qrels).items()
        if max(grades.values()) > 0
    }
    texts: dict[str, str] = {}
    for number, each in json_lines(queries):
        try:
            texts[str(each.get("_id") or each["id"])] = str(each["text"])
        except KeyError as error:
            message = f"{queries}:{number}: has no {error}"
            raise Unreadable(message) from error
    for query in judgements:
        if query not in texts:
            message = f"{queries}: query {query} is missing, which {qrels} judges"
            raise Unreadable(message)
    if not judgements:
        message = f"{qrels}: no query has a relevant document"
        raise Unreadable(message)
    chosen = list(judgements)[:at_most]
    return Questions(
        queries={query: texts[query] for query in chosen},
        judgements={query: judgements[query] for query in chosen},
    )


def read_judgements(path: Path) -> Judgements:
    """Read which documents answer which queries.

    Raises:
        Unreadable: It is missing or is something else.

    """
    judgements: Judgements = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            if not set(_COLUMNS) <= set(rows.fieldnames or ()):
                message = f"{path}:1: must be {', '.join(_COLUMNS)}, with tabs between"
                raise Unreadable(message)
            for row in rows:
                query, document, score = (row[column] for column in _COLUMNS)
                judgements.setdefault(query, {})[document] = int(score)
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise Unreadable(message) from error
    except (ValueError, TypeError) as error:
        place = f"{path}:{rows.line_num}"
        message = f"{place}: is no query, document and whole number, with tabs between"
        raise Unreadable(message) from error
    return judgements


def json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Give every object of a file of JSON lines, with its line number; blanks are skipped.

    Raises:
        Unreadable: It is missing, or a line is something else.

    """
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(path, number, line)
    except (OSError, EOFError, zlib.error) as error:
        message = f"{path}: {getattr(error, 'strerror', None) or error}"
        raise Unreadable(message) from error
    except UnicodeDecodeError as error:
        message = f"{path}: is not UTF-8"
        raise Unreadable(message) from error


def _object(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        fields = json.loads(line)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        message = f"{path}:{number}: is no JSON object"
        raise Unreadable(message)
    return fields
