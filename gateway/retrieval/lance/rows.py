"""How a collection and its documents lie in a LanceDB table."""

import json
from collections.abc import Sequence
from datetime import datetime

import numpy as np
import pyarrow as pa

from gateway.retrieval import layout
from gateway.retrieval.errors import DamagedStore
from gateway.retrieval.filter import Field, FieldType
from gateway.retrieval.lance.sql import column, loaded, stored
from gateway.retrieval.retriever import Document

Vector = np.ndarray[tuple[int, ...], np.dtype[np.float32]]

_KEY = b"collection"
_TYPES = {
    FieldType.STRING: pa.string(),
    FieldType.INT64: pa.int64(),
    FieldType.DOUBLE: pa.float64(),
    FieldType.BOOL: pa.bool_(),
    FieldType.TIMESTAMP: pa.int64(),
}


class Layout(layout.Layout):
    """What is fixed when a collection is created; its table carries it."""

    __slots__ = ()

    @property
    def schema(self) -> pa.Schema:
        """The table's columns, and this layout beside them."""
        columns = [
            pa.field("id", pa.string(), nullable=False),
            # What full-text search reads: the title, a newline and the text.
            pa.field("content", pa.string(), nullable=False),
            pa.field("title_length", pa.int32(), nullable=False),
            pa.field("group_id", pa.string(), nullable=False),
            pa.field("metadata", pa.string(), nullable=False),
            *(
                pa.field(column(place), _TYPES[each.type])
                for place, each in enumerate(self.fields)
            ),
        ]
        if self.dimension:
            vector = pa.list_(pa.float32(), self.dimension)
            columns.append(pa.field("vector", vector))
        said = {
            "fields": [[each.name, each.type.value] for each in self.fields],
            "dimension": self.dimension,
            "embedder": self.embedder,
            "created": self.created.isoformat(),
        }
        return pa.schema(columns, metadata={_KEY: json.dumps(said).encode()})

    def columns(self, *, with_vectors: bool) -> list[str]:
        """Name the columns of a document."""
        names = list(self.schema.names)
        if self.dimension and not with_vectors:
            names.remove("vector")
        return names

    def table(self, documents: Sequence[Document], embedder: str) -> pa.Table:
        """Lay documents out as rows, or refuse all of them for one."""
        self.check_documents(documents, embedder)
        arrays: list[pa.Array] = [
            pa.array([each.id for each in documents], pa.string()),
            pa.array([_content(each) for each in documents], pa.string()),
            pa.array([len(each.title) for each in documents], pa.int32()),
            pa.array([each.group_id for each in documents], pa.string()),
            pa.array([each.metadata for each in documents], pa.string()),
        ]
        for field in self.fields:
            values = [each.values.get(field.name) for each in documents]
            plain = [None if each is None else stored(each) for each in values]
            arrays.append(pa.array(plain, _TYPES[field.type]))
        if self.dimension:
            vectors = [each.vector for each in documents if each.vector is not None]
            flat = pa.array(np.concatenate(vectors), pa.float32())
            arrays.append(pa.FixedSizeListArray.from_arrays(flat, self.dimension))
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def vectors(self, rows: pa.Table) -> list[Vector]:
        """Read vectors back, in the order of the rows."""
        flat = rows["vector"].combine_chunks().flatten().to_numpy()
        return list(flat.reshape(len(rows), self.dimension))

    def documents(self, rows: pa.Table) -> list[Document]:
        """Read documents back, in the order of the rows."""
        vectors: Sequence[Vector | None] = [None] * len(rows)
        if "vector" in rows.column_names:
            vectors = self.vectors(rows)
        plain = rows.drop_columns(["vector"] if "vector" in rows.column_names else [])
        return [
            Document(
                id=row["id"],
                title=row["content"][: row["title_length"]],
                # The newline between them is there only with a title.
                text=row["content"][row["title_length"] + bool(row["title_length"]) :],
                vector=vector,
                group_id=row["group_id"],
                metadata=row["metadata"],
                values={
                    field.name: loaded(row[column(place)], field.type)
                    for place, field in enumerate(self.fields)
                    if row[column(place)] is not None
                },
            )
            for row, vector in zip(plain.to_pylist(), vectors, strict=True)
        ]


def layout_of(schema: pa.Schema) -> Layout:
    """Read what a table carries, or raise `DamagedStore`."""
    try:
        said = json.loads((schema.metadata or {})[_KEY])
        found = Layout(
            fields=tuple(Field(name, FieldType(kind)) for name, kind in said["fields"]),
            dimension=said["dimension"],
            embedder=said["embedder"],
            created=datetime.fromisoformat(said["created"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = "is a table, but not one of ours"
        raise DamagedStore(message) from error
    if found.schema.names != schema.names:
        message = "has other columns than it says"
        raise DamagedStore(message)
    return found


def _content(document: Document) -> str:
    if not document.title:
        return document.text
    return f"{document.title}\n{document.text}"
