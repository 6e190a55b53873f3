"""How a document lies in an object of Weaviate."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.struct_pb2 import Struct
from numpy.typing import NDArray

from gateway.retrieval.filter import Field, Value
from gateway.retrieval.layout import Layout
from gateway.retrieval.retriever import Document
from gateway.retrieval.terms import term_counts
from gateway.retrieval.weaviate import values
from gateway.retrieval.weaviate.layout import (
    DENSE,
    ID,
    ROLE,
    STORED,
    VERSION,
    WORDS,
    places,
)
from gateway.retrieval.weaviate.naming import object_id
from weaviate_api.v1.weaviate_pb2 import BatchObject, SearchResult, Vectors

Vector = NDArray[np.float32]

MARK = "mark"


def written(document: Document, layout: Layout, named: str) -> BatchObject:
    """Lay a document out; it fits the collection, whose class this names."""
    content = f"{document.title}\n{document.text}"
    properties: dict[str, Any] = {ID: document.id, WORDS: words(content)}
    for name in STORED:
        if said := getattr(document, name):
            properties[name] = said
    for name, place in places(layout.fields).items():
        if name not in document.values:
            continue
        value = document.values[name]
        properties[place.exact] = values.text(value)
        if place.type in values.NUMERIC and not isinstance(value, str):
            properties[place.high], properties[place.low] = values.halves(value)
    found = _object(object_id(document.id), properties, named)
    if document.vector is not None:
        found.vectors.append(packed(document.vector))
    return found


def mark(writer: str, version: int, named: str) -> BatchObject:
    """Say how far a writer is; it is found by no search.

    Args:
        writer: Its UUID, which no document has: those of documents are hashes.
        version: In microseconds, which a double has exactly until the year 2255.
        named: The class.

    """
    return _object(writer, {ROLE: MARK, VERSION: version}, named)


def words(text: str) -> str:
    """Write down the terms of a text; empty: there is none."""
    return " ".join(
        term for term, count in term_counts(text).items() for _ in range(count)
    )


def packed(vector: Vector) -> Vectors:
    """Give a vector as it is sent."""
    return Vectors(
        name=DENSE,
        vector_bytes=vector.astype("<f4").tobytes(),
        type=Vectors.VECTOR_TYPE_SINGLE_FP32,
    )


def properties(result: SearchResult) -> Mapping[str, Any]:
    """Give those properties that were asked for and have a value."""
    found = {}
    for name, value in result.properties.non_ref_props.fields.items():
        kind = value.WhichOneof("kind")
        if kind not in (None, "null_value"):
            found[name] = getattr(value, kind)
    return found


def is_mark(result: SearchResult) -> bool:
    """Tell whether this is no document."""
    return ROLE in properties(result)


def document(result: SearchResult, layout: Layout) -> Document:
    """Read a document back, with its vector if that was brought."""
    said = properties(result)
    return Document(
        id=said[ID],
        title=said.get("title", ""),
        text=said.get("text", ""),
        vector=vector(result),
        group_id=said.get("group_id", ""),
        metadata=said.get("metadata", ""),
        values=_values(said, layout.fields),
    )


def vector(result: SearchResult) -> Vector | None:
    """Read a vector; None: there is none, or it was not brought."""
    for each in result.metadata.vectors:
        if each.name == DENSE:
            return np.frombuffer(each.vector_bytes, "<f4").astype(np.float32)
    return None


def _values(said: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Value]:
    return {
        name: values.value(said[place.exact], place.type)
        for name, place in places(fields).items()
        if place.exact in said
    }


def _object(name: str, properties: Mapping[str, Any], named: str) -> BatchObject:
    struct = Struct()
    struct.update(properties)
    return BatchObject(
        uuid=name,
        collection=named,
        properties=BatchObject.Properties(non_ref_properties=struct),
    )
