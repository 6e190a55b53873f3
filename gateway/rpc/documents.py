"""Between the contract's `Document` and plain ones."""

import json

from google.protobuf import struct_pb2

from gateway.contract import Document
from gateway.retrieval import retriever
from gateway.storing.batches import Incoming
from rerank.v1 import document_pb2


def read_document(message: document_pb2.Document) -> Incoming:
    """Take apart a document that is to be stored; nothing is checked."""
    return Incoming(
        id=message.id,
        document=Document(
            title=message.title,
            text=message.text,
            group_id=message.group_id,
            embedding=tuple(message.embedding) or None,
        ),
        metadata=_plain(message.metadata) if message.HasField("metadata") else None,
    )


def write_document(
    stored: retriever.Document, *, with_vector: bool
) -> document_pb2.Document:
    """Write a stored document.

    Args:
        stored: As the engine brings it.
        with_vector: Whether the vector goes with it, if there is one.

    """
    message = document_pb2.Document(
        id=stored.id, title=stored.title, text=stored.text, group_id=stored.group_id
    )
    if with_vector and stored.vector is not None:
        message.embedding.extend(stored.vector.tolist())
    if stored.metadata:
        # What was there but empty comes back as that, not as nothing.
        message.metadata.SetInParent()
        message.metadata.update(json.loads(stored.metadata))
    return message


def _plain(struct: struct_pb2.Struct) -> dict[str, object]:
    return {name: _plain_value(value) for name, value in struct.fields.items()}


def _plain_value(value: struct_pb2.Value) -> object:
    """Give a value as JSON has it; numbers may still be infinite or none."""
    match value.WhichOneof("kind"):
        case "struct_value":
            return _plain(value.struct_value)
        case "list_value":
            return [_plain_value(each) for each in value.list_value.values]
        case "number_value":
            return value.number_value
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
    return None
