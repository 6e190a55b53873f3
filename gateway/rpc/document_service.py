"""`rerank.v1.DocumentService`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from grpc.aio import ServicerContext

from gateway.admitting import EVERYBODY, Admitting
from gateway.retrieval.retriever import Collection
from gateway.rpc.document_requests import (
    read_create,
    read_delete,
    read_delete_collection,
    read_get,
    read_import,
)
from gateway.rpc.document_responses import write_batch, write_collection
from gateway.rpc.documents import write_document
from gateway.rpc.paging import page_token, read_page
from gateway.rpc.requests import Limits
from gateway.searching.contract import DEFAULT_COLLECTION
from gateway.storing import Storing
from gateway.storing.batches import Prepared
from rerank.v1 import document_service_pb2, document_service_pb2_grpc

SERVICE = "rerank.v1.DocumentService"

_DEFAULT_PAGE = 50
_DEFAULT_DOCUMENTS = 100


class DocumentService(document_service_pb2_grpc.DocumentServiceServicer):
    """Stores documents in collections.

    Args:
        storing: The use case.
        limits: How much a request may bring.
        admitting: Bounds how much a caller asks; each batch of an import is one request.

    """

    def __init__(
        self, *, storing: Storing, limits: Limits, admitting: Admitting = EVERYBODY
    ) -> None:
        self._admitting = admitting
        self._storing = storing
        self._limits = limits

    async def ImportDocuments(  # type: ignore[override]  # noqa: N802 - it writes each answer itself; gRPC's name
        self,
        requests: AsyncIterator[document_service_pb2.ImportDocumentsRequest],
        context: "ServicerContext[Any, Any]",
    ) -> None:
        """Store batch after batch, and answer each when it is durable.

        While one is stored and answered the next is read and prepared, and no more than
        that: whoever does not read the answers is not read from.
        """
        # It writes the answers itself: a generator that is suspended at an answer does not
        # notice that its call is cancelled, and would leave the batch ahead behind.
        with self._admitting.one():
            await self._import(requests, context)

    async def _import(
        self,
        requests: AsyncIterator[document_service_pb2.ImportDocumentsRequest],
        context: "ServicerContext[Any, Any]",
    ) -> None:
        preparing = _Preparing(requests, self._storing, self._limits, self._admitting)
        ahead = asyncio.create_task(preparing.next_one())
        try:
            while batch := await ahead:
                ahead = asyncio.create_task(preparing.next_one())
                batch_id, prepared = batch
                stored = await self._storing.store(prepared)
                await context.write(write_batch(batch_id, stored))
        finally:
            ahead.cancel()
            # What failed ahead is of no interest where something failed before it.
            await asyncio.gather(ahead, return_exceptions=True)

    async def DeleteDocuments(  # noqa: N802 - gRPC's name
        self,
        request: document_service_pb2.DeleteDocumentsRequest,
        _: "ServicerContext[Any, Any]",
    ) -> document_service_pb2.DeleteDocumentsResponse:
        """Remove documents."""
        collection, ids = read_delete(request)
        with self._admitting.one():
            deleted = await self._storing.delete(collection, ids)
        return document_service_pb2.DeleteDocumentsResponse(
            deleted_count=deleted.count, version=deleted.version
        )

    async def GetDocument(  # noqa: N802 - gRPC's name
        self,
        request: document_service_pb2.GetDocumentRequest,
        _: "ServicerContext[Any, Any]",
    ) -> document_service_pb2.GetDocumentResponse:
        """Bring one document."""
        collection, name = read_get(request)
        with_vector = request.return_embeddings
        with self._admitting.one():
            found = await self._storing.get(collection, name, with_vectors=with_vector)
        return document_service_pb2.GetDocumentResponse(
            document=write_document(found, with_vector=with_vector)
        )

    async def ListDocuments(  # noqa: N802 - gRPC's name
        self,
        request: document_service_pb2.ListDocumentsRequest,
        _: "ServicerContext[Any, Any]",
    ) -> document_service_pb2.ListDocumentsResponse:
        """List documents, page by page."""
        page = read_page(request, default_size=_DEFAULT_DOCUMENTS)
        with_vectors = request.return_embeddings
        with self._admitting.one():
            found = await self._storing.page(
                request.collection or DEFAULT_COLLECTION,
                after=page.after,
                count=page.size,
                with_vectors=with_vectors,
            )
        return document_service_pb2.ListDocumentsResponse(
            documents=[
                write_document(each, with_vector=with_vectors)
                for each in found.documents
            ],
            next_page_token=page_token(found.after),
        )

    async def CreateCollection(  # noqa: N802 - gRPC's name
        self,
        request: document_service_pb2.CreateCollectionRequest,
        _: "ServicerContext[Any, Any]",
    ) -> document_service_pb2.CreateCollectionResponse:
        """Make an empty collection."""
        ask = read_create(request)
        with self._admitting.one():
            created = await self._storing.create_collection(
                ask.name, fields=ask.fields, dimension=ask.dimension
            )
        return document_service_pb2.CreateCollectionResponse(
            collection=write_collection(created)
        )

    async def DeleteCollection(  # noqa: N802 - gRPC's name
        self,
        request: document_service_pb2.DeleteCollectionRequest,
        _: "ServicerContext[Any, Any]",
    ) -> document_service_pb2.DeleteCollectionResponse:
        """Remove a collection and its documents."""
        name = read_delete_collection(request)
        with self._admitting.one():
            await self._storing.delete_collection(name)
        return document_service_pb2.DeleteCollectionResponse()

    async def ListCollections(  # noqa: N802 - gRPC's name
        self,
        request: document_service_pb2.ListCollectionsRequest,
        _: "ServicerContext[Any, Any]",
    ) -> document_service_pb2.ListCollectionsResponse:
        """List the collections."""
        page = read_page(request, default_size=_DEFAULT_PAGE)
        with self._admitting.one():
            collections = await self._storing.collections()
        listed, next_page_token = page.cut(collections, name=_name)
        return document_service_pb2.ListCollectionsResponse(
            collections=[write_collection(each) for each in listed],
            next_page_token=next_page_token,
        )


class _Preparing:
    """Reads the batches of one import and prepares them, one at a time."""

    def __init__(
        self,
        requests: AsyncIterator[document_service_pb2.ImportDocumentsRequest],
        storing: Storing,
        limits: Limits,
        admitting: Admitting,
    ) -> None:
        self._admitting = admitting
        self._began = False
        self._requests = requests
        self._storing = storing
        self._limits = limits
        self._collection = ""

    async def next_one(self) -> tuple[str, Prepared] | None:
        """Give the next batch and its id; None: there is no more."""
        message = await anext(self._requests, None)
        if message is None:
            return None
        if self._began:
            # The first one was counted as the call; the others come as fast as they may.
            await self._admitting.another()
        self._began = True
        ask = read_import(message, self._limits, collection=self._collection)
        self._collection = ask.collection
        prepared = await self._storing.prepare(ask.collection, ask.documents)
        return ask.batch_id, prepared


def _name(collection: Collection) -> str:
    return collection.name
