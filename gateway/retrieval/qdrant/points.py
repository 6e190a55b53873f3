"""How a document lies in a point of Qdrant."""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from gateway.retrieval import ordering
from gateway.retrieval.filter import Field, FieldType, Value
from gateway.retrieval.qdrant.conditions import ORDER, VALUES
from gateway.retrieval.qdrant.layout import Layout
from gateway.retrieval.qdrant.terms import weighed
from gateway.retrieval.retriever import Document

Vector = NDArray[np.float32]

DENSE = "dense"
WORDS = "words"
ID = "id"
VECTOR = "vector"
"""Where a point has a vector as it came, if that is not of length 1."""

# Cosines of what is so near to it are off by less than single precision is.
_UNIT = 1e-6


def point_id(name: str) -> str:
    """Give the id of a document's point: ids of Qdrant are UUIDs or numbers."""
    # With a hash that nobody can find two texts of, or one would displace the other.
    digest = hashlib.blake2b(name.encode(), digest_size=16)
    return str(UUID(bytes=digest.digest()))


def unit(vector: Vector) -> Vector:
    """Give the direction of a vector; the same array where its length is 1 already."""
    length = float(np.linalg.norm(vector.astype(np.float64)))
    if not length or abs(length - 1.0) <= _UNIT:
        return vector
    return (vector.astype(np.float64) / length).astype(np.float32)


def point(document: Document, layout: Layout) -> models.PointStruct:
    """Lay a document out; it fits the collection."""
    vectors: dict[str, Any] = {}
    content = f"{document.title}\n{document.text}"
    words = weighed(content, mean_terms=layout.mean_terms)
    if words.indices:
        vectors[WORDS] = models.SparseVector(indices=words.indices, values=words.values)
    payload: dict[str, Any] = {ID: document.id, "text": document.text}
    for name in ("title", "group_id", "metadata"):
        if said := getattr(document, name):
            payload[name] = said
    if document.vector is not None:
        direction = unit(document.vector)
        vectors[DENSE] = direction.tolist()
        if direction is not document.vector:
            kept = document.vector.astype("<f4").tobytes()
            payload[VECTOR] = base64.b64encode(kept).decode()
    if document.values:
        payload[VALUES] = {
            name: _plain(value) for name, value in document.values.items()
        }
        payload[ORDER] = {
            name: numbers
            for name, value in document.values.items()
            if (numbers := _ordered(value))
        }
    return models.PointStruct(id=point_id(document.id), vector=vectors, payload=payload)


def document(record: models.Record, layout: Layout) -> Document:
    """Read a document back, with its vector if that was brought."""
    payload = record.payload or {}
    return Document(
        id=payload[ID],
        title=payload.get("title", ""),
        text=payload["text"],
        vector=vector(record),
        group_id=payload.get("group_id", ""),
        metadata=payload.get("metadata", ""),
        values=_values(payload, layout.fields),
    )


def vector(record: models.Record) -> Vector | None:
    """Read a vector as it came; None: there is none, or it was not brought."""
    if not isinstance(record.vector, dict) or DENSE not in record.vector:
        return None
    if kept := (record.payload or {}).get(VECTOR):
        return np.frombuffer(base64.b64decode(kept), "<f4").astype(np.float32)
    return np.array(record.vector[DENSE], np.float32)


def _values(payload: Mapping[str, Any], fields: tuple[Field, ...]) -> dict[str, Value]:
    plain, order = payload.get(VALUES, {}), payload.get(ORDER, {})
    found: dict[str, Value] = {}
    for field in fields:
        if field.name not in plain:
            continue
        match field.type:
            case FieldType.DOUBLE:
                found[field.name] = ordering.double(order[field.name])
            case FieldType.TIMESTAMP:
                found[field.name] = datetime.fromisoformat(plain[field.name])
            case _:
                found[field.name] = plain[field.name]
    return found


def _plain(value: Value) -> str | int | float | bool:
    """Give a value as people, and Qdrant's own indexes, read it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    return value


def _ordered(value: Value) -> list[int] | None:
    match value:
        case bool() | datetime():
            return None
        case str():
            return ordering.of_text(value)
        case float():
            return ordering.of_double(value)
        case int():
            if abs(value) < ordering.LARGEST_EXACT:
                return None
            return ordering.of_whole(value)
