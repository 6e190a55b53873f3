"""Ask a gateway for its collections, and for all documents of one."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from gateway.cli.pages import pages
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
    request = document_service_pb2.ListCollectionsRequest()
    return [
        each
        async for page in pages(stub.ListCollections, request)
        for each in page.collections
    ]


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

    async def ask(
        of: document_service_pb2.ListDocumentsRequest,
    ) -> document_service_pb2.ListDocumentsResponse:
        return await patiently(lambda: stub.ListDocuments(of, timeout=_CALL_S))

    async for page in pages(ask, request):
        yield page.documents
