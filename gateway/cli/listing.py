"""Ask a gateway for its collections, and for all documents of one."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from gateway.cli.patience import patiently
from rerank.v1 import collection_pb2, document_pb2, document_service_pb2

if TYPE_CHECKING:  # known to the type checker alone
    from rerank.v1.document_service_pb2_grpc import DocumentServiceAsyncStub

_CALL_S = 60.0


async def listed(
    stub: "DocumentServiceAsyncStub",
) -> list[collection_pb2.Collection]:
    """Ask for all collections, page by page.

    Raises:
        grpc.RpcError: As the gateway answers.

    """
    found: list[collection_pb2.Collection] = []
    request = document_service_pb2.ListCollectionsRequest()
    while True:
        page = await stub.ListCollections(request)
        found += page.collections
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


async def documents_of(
    stub: "DocumentServiceAsyncStub", name: str, *, at_most: int, with_vectors: bool
) -> AsyncIterator[Sequence[document_pb2.Document]]:
    """Ask for all documents of a collection, page by page, across lost connections.

    Raises:
        grpc.RpcError: As the gateway answers, or it stays away.

    """
    request = document_service_pb2.ListDocumentsRequest(
        collection=name, page_size=at_most, return_embeddings=with_vectors
    )
    while True:
        page = await patiently(lambda: stub.ListDocuments(request, timeout=_CALL_S))
        yield page.documents
        if not page.next_page_token:
            return
        request.page_token = page.next_page_token
