"""From plain values to the answers of DocumentService."""

from gateway.retrieval.retriever import Collection
from gateway.rpc.document_requests import FIELD_TYPES
from gateway.storing.batches import Batch, RejectionReason
from rerank.v1 import collection_pb2, document_service_pb2

# Built when imported, so a name that the contract lacks cannot go unnoticed.
_REASONS = {
    reason: document_service_pb2.RejectionReason.Value(f"REJECTION_REASON_{reason}")
    for reason in RejectionReason
}


def write_batch(
    batch_id: str, batch: Batch
) -> document_service_pb2.ImportDocumentsResponse:
    """Write what became of a batch."""
    return document_service_pb2.ImportDocumentsResponse(
        batch_id=batch_id,
        accepted_count=batch.accepted_count,
        rejected=[
            document_service_pb2.RejectedDocument(
                id=each.id,
                reason=_REASONS[each.reason],
                message=each.message,
                index=each.index,
            )
            for each in batch.rejected
        ],
        version=batch.version,
    )


def write_collection(collection: Collection) -> collection_pb2.Collection:
    """Write a collection."""
    message = collection_pb2.Collection(
        name=collection.name,
        fields=[
            collection_pb2.CollectionField(name=each.name, type=FIELD_TYPES[each.type])
            for each in collection.fields
        ],
        embedding_dimension=collection.dimension,
        document_count=collection.document_count,
        version=collection.version,
        embedder=collection.embedder,
    )
    message.create_time.FromDatetime(collection.created)
    return message
