"""Between stored documents and the contract's `Document`."""

import json

from gateway.retrieval import retriever
from rerank.v1 import document_pb2


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
