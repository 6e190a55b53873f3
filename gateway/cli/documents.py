"""Read documents from a file or from standard input."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from gateway.cli.failing import MISTAKE, fail
from rerank.v1 import document_pb2


def read_documents(file: str) -> list[document_pb2.Document]:
    """Read JSON lines, as BEIR has them, or one plain text per line.

    A file whose first line is a JSON object is JSON lines: `text`, and optionally `_id`
    or `id`, `title`, `score` and `group_id`. Blank lines are passed over.

    Args:
        file: Its path; `-` for standard input.

    """
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        fail(f"{file}: {error.strerror}", MISTAKE)
    except UnicodeDecodeError:
        fail(f"{file}: is not UTF-8", MISTAKE)
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if lines and lines[0][1].lstrip().startswith("{"):
        return list(_from_json(file, lines))
    return [document_pb2.Document(text=line) for _, line in lines]


def _from_json(
    file: str, lines: Iterable[tuple[int, str]]
) -> Iterable[document_pb2.Document]:
    for number, line in lines:
        try:
            yield _document(json.loads(line))
        except (ValueError, TypeError, AttributeError, KeyError):
            fail(f"{file}:{number}: is no JSON object with a text", MISTAKE)


def _document(fields: dict[str, Any]) -> document_pb2.Document:
    document = document_pb2.Document(
        id=str(fields.get("_id", fields.get("id", ""))),
        title=fields.get("title") or "",
        text=fields["text"],
        group_id=fields.get("group_id") or "",
    )
    if fields.get("score") is not None:
        document.score = fields["score"]
    return document
