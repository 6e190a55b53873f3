"""A vendor's documents, which are texts or objects, as documents of ours."""

from collections.abc import Sequence
from typing import Any

import orjson

from gateway.rpc.violations import Violations
from rerank.v1 import document_pb2

_TEXT = "text"


def from_texts(texts: Sequence[str]) -> list[document_pb2.Document]:
    """Make a document of each text."""
    return [document_pb2.Document(text=text) for text in texts]


def from_texts_or_objects(
    documents: Sequence[object],
    wrong: Violations,
    *,
    path: str = "documents",
    rank_fields: Sequence[str] = (),
) -> list[document_pb2.Document]:
    """Make a document of each text or object.

    Args:
        documents: As they came.
        wrong: Takes what is wrong.
        path: What the caller calls them.
        rank_fields: Which fields of an object are read, in this order; empty: its `text`.

    """
    texts = []
    for place, document in enumerate(documents):
        if not isinstance(document, dict):
            texts.append(str(document))
        elif rank_fields:
            texts.append(
                "\n".join(
                    _words(document[name]) for name in rank_fields if name in document
                )
            )
        elif isinstance(text := document.get(_TEXT), str):
            texts.append(text)
        else:
            problem = "must be a string" if _TEXT in document else "is required"
            wrong.add(f"{path}[{place}].{_TEXT}", problem)
            texts.append("")
    return from_texts(texts)


def as_object(document: object) -> dict[str, Any]:
    """Give a document back as an object with a `text`, or as the object that came."""
    return document if isinstance(document, dict) else {_TEXT: document}


def _words(value: object) -> str:
    """Write a value as a model is to read it."""
    return value if isinstance(value, str) else orjson.dumps(value).decode()
