"""The client for programs on an event loop."""

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Iterable,
    Mapping,
)
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from grpc import aio

from rerank_client import health, requests
from rerank_client._gen.rerank.v1.backend_service_pb2_grpc import BackendServiceStub
from rerank_client._gen.rerank.v1.document_service_pb2_grpc import DocumentServiceStub
from rerank_client._gen.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from rerank_client._gen.rerank.v1.search_service_pb2_grpc import SearchServiceStub
from rerank_client.async_calls import AsyncCalls, in_turn
from rerank_client.connection import Connection, ConnectionOptions
from rerank_client.health import ServingStatus
from rerank_client.requests import DocumentLike, RerankFields, SearchFields
from rerank_client.service_config import CHANGE_TIMEOUT_S
from rerank_client.types import (
    Backend,
    CheckBackendRequest,
    CheckBackendResponse,
    Collection,
    CreateCollectionRequest,
    CreateCollectionResponse,
    DeleteCollectionRequest,
    DeleteCollectionResponse,
    DeleteDocumentsRequest,
    DeleteDocumentsResponse,
    Document,
    FieldType,
    GetDocumentRequest,
    GetDocumentResponse,
    ImportDocumentsRequest,
    ImportDocumentsResponse,
    ListBackendsRequest,
    ListBackendsResponse,
    ListCollectionsRequest,
    ListCollectionsResponse,
    ListDocumentsRequest,
    ListDocumentsResponse,
    RerankBatchRequest,
    RerankBatchResponse,
    RerankRequest,
    RerankResponse,
    SearchProgressiveRequest,
    SearchProgressiveResponse,
    SearchRequest,
    SearchResponse,
)

# The stubs for threads and for coroutines are one class, which only types tell apart.
if TYPE_CHECKING:
    from rerank_client._gen.rerank.v1.backend_service_pb2_grpc import (
        BackendServiceAsyncStub,
    )
    from rerank_client._gen.rerank.v1.document_service_pb2_grpc import (
        DocumentServiceAsyncStub,
    )
    from rerank_client._gen.rerank.v1.rerank_service_pb2_grpc import (
        RerankServiceAsyncStub,
    )
    from rerank_client._gen.rerank.v1.search_service_pb2_grpc import (
        SearchServiceAsyncStub,
    )


class AsyncRerankClient:
    """A gateway, as coroutines call it.

    Every call has a deadline (`timeout_s`) and raises a `RerankError` when it fails. A
    call whose task is cancelled is cancelled at the gateway too. A stream ends, and its
    call with it, when its generator is closed: leave one early inside
    `contextlib.aclosing`.

    It belongs to the event loop of its first call.

    Args:
        address: The gateway, for example `localhost:50051` or `dns:///gateway:50051`.
        options: See `ConnectionOptions`.

    """

    def __init__(self, address: str, **options: Unpack[ConnectionOptions]) -> None:
        self._connection = Connection(address, **options)

    async def __aenter__(self) -> Self:
        """Use it until the block ends."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Cancel what is open and leave the gateway."""
        if "_calls" in self.__dict__:
            await self._calls.close()

    # Only a running event loop can open a channel, and the constructor may run before.
    @cached_property
    def _calls(self) -> AsyncCalls:
        return AsyncCalls(self._connection)

    @cached_property
    def _reranking(self) -> "RerankServiceAsyncStub":
        return RerankServiceStub(self._calls.channel)

    @cached_property
    def _searching(self) -> "SearchServiceAsyncStub":
        return SearchServiceStub(self._calls.channel)

    @cached_property
    def _storing(self) -> "DocumentServiceAsyncStub":
        return DocumentServiceStub(self._calls.channel)

    @cached_property
    def _backends(self) -> "BackendServiceAsyncStub":
        return BackendServiceStub(self._calls.channel)

    @cached_property
    def _health(self) -> aio.UnaryUnaryMultiCallable[str, ServingStatus]:
        return self._calls.channel.unary_unary(
            health.CHECK, health.write_request, health.read_response
        )

    async def rerank(
        self,
        query: str | RerankRequest,
        documents: Iterable[DocumentLike] = (),
        *,
        timeout_s: float | None = None,
        **fields: Unpack[RerankFields],
    ) -> RerankResponse:
        """Order documents by how well they answer a query."""
        request = requests.rerank(query, documents, fields)
        return await self._calls.ask(self._reranking.Rerank, request, timeout_s)

    def rerank_batch(
        self,
        batch: Iterable[RerankRequest | RerankBatchRequest]
        | AsyncIterable[RerankRequest | RerankBatchRequest],
        *,
        timeout_s: float | None = None,
    ) -> AsyncGenerator[RerankBatchResponse]:
        """Order the documents of many requests; answers come as they are done.

        The `request_id` of a plain `RerankRequest` is its place, from 0. See `answer_of`
        for the errors of single requests. The batch is read as fast as the gateway
        takes it.
        """
        return self._calls.exchange(
            self._reranking.RerankBatch,
            _batched(batch),
            timeout_s,
        )

    async def search(
        self,
        query: str | SearchRequest,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[SearchFields],
    ) -> SearchResponse:
        """Find documents in a collection and order them."""
        request = requests.search(query, fields)
        return await self._calls.ask(self._searching.Search, request, timeout_s)

    def search_progressive(
        self,
        query: str | SearchRequest | SearchProgressiveRequest,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[SearchFields],
    ) -> AsyncGenerator[SearchProgressiveResponse]:
        """Search, and answer twice: at once, and with the order after reranking."""
        request = requests.search_progressive(query, fields)
        return self._calls.follow(self._searching.SearchProgressive, request, timeout_s)

    def import_documents(
        self,
        documents: Iterable[DocumentLike | ImportDocumentsRequest]
        | AsyncIterable[DocumentLike | ImportDocumentsRequest],
        *,
        collection: str = "",
        timeout_s: float | None = None,
    ) -> AsyncGenerator[ImportDocumentsResponse]:
        """Store documents, and yield what became of each batch of them.

        A batch's id is the place of its first document. Read to the end: what was not
        answered may not be stored.
        """
        return self._calls.exchange(
            self._storing.ImportDocuments, _gathered(documents, collection), timeout_s
        )

    async def get_document(
        self,
        document_id: str | GetDocumentRequest,
        *,
        collection: str = "",
        return_embeddings: bool = False,
        timeout_s: float | None = None,
    ) -> GetDocumentResponse:
        """Bring one stored document."""
        request = requests.get_document(
            document_id, collection, return_embeddings=return_embeddings
        )
        return await self._calls.ask(self._storing.GetDocument, request, timeout_s)

    async def list_documents(
        self, request: ListDocumentsRequest, *, timeout_s: float | None = None
    ) -> ListDocumentsResponse:
        """Bring one page of the documents of a collection."""
        return await self._calls.ask(self._storing.ListDocuments, request, timeout_s)

    async def documents(
        self,
        *,
        collection: str = "",
        return_embeddings: bool = False,
        timeout_s: float | None = None,
    ) -> AsyncIterator[Document]:
        """Yield all documents of a collection, page by page, each within `timeout_s`."""
        request = ListDocumentsRequest(
            collection=collection, return_embeddings=return_embeddings
        )
        while True:
            page = await self.list_documents(request, timeout_s=timeout_s)
            for each in page.documents:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete_documents(
        self,
        ids: Iterable[str] | DeleteDocumentsRequest,
        *,
        collection: str = "",
        timeout_s: float | None = None,
    ) -> DeleteDocumentsResponse:
        """Remove stored documents."""
        request = requests.delete_documents(ids, collection)
        return await self._calls.ask(
            self._storing.DeleteDocuments,
            request,
            timeout_s,
            default_s=CHANGE_TIMEOUT_S,
        )

    async def create_collection(
        self,
        name: str | CreateCollectionRequest,
        *,
        fields: Mapping[str, FieldType.ValueType] = requests.NO_FIELDS,
        embedding_dimension: int = 0,
        timeout_s: float | None = None,
    ) -> CreateCollectionResponse:
        """Create an empty collection, with the fields that can be filtered by."""
        request = requests.create_collection(name, fields, embedding_dimension)
        return await self._calls.ask(
            self._storing.CreateCollection,
            request,
            timeout_s,
            default_s=CHANGE_TIMEOUT_S,
        )

    async def delete_collection(
        self, name: str | DeleteCollectionRequest, *, timeout_s: float | None = None
    ) -> DeleteCollectionResponse:
        """Remove a collection and all of its documents."""
        request = requests.delete_collection(name)
        return await self._calls.ask(
            self._storing.DeleteCollection,
            request,
            timeout_s,
            default_s=CHANGE_TIMEOUT_S,
        )

    async def list_collections(
        self, request: ListCollectionsRequest, *, timeout_s: float | None = None
    ) -> ListCollectionsResponse:
        """Bring one page of the collections."""
        return await self._calls.ask(self._storing.ListCollections, request, timeout_s)

    async def collections(
        self, *, timeout_s: float | None = None
    ) -> AsyncIterator[Collection]:
        """Yield all collections by name, page by page, each within `timeout_s`."""
        request = ListCollectionsRequest()
        while True:
            page = await self.list_collections(request, timeout_s=timeout_s)
            for each in page.collections:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def list_backends(
        self, request: ListBackendsRequest, *, timeout_s: float | None = None
    ) -> ListBackendsResponse:
        """Bring one page of what the gateway uses."""
        return await self._calls.ask(self._backends.ListBackends, request, timeout_s)

    async def backends(
        self, *, timeout_s: float | None = None
    ) -> AsyncIterator[Backend]:
        """Yield all that the gateway uses, page by page, each within `timeout_s`."""
        request = ListBackendsRequest()
        while True:
            page = await self.list_backends(request, timeout_s=timeout_s)
            for each in page.backends:
                yield each
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def check_backend(
        self, name: str | CheckBackendRequest, *, timeout_s: float | None = None
    ) -> CheckBackendResponse:
        """Ask a backend now whether it works."""
        request = requests.check_backend(name)
        return await self._calls.ask(self._backends.CheckBackend, request, timeout_s)

    async def check_health(
        self, service: str = "", *, timeout_s: float | None = None
    ) -> ServingStatus:
        """Ask whether the gateway, or one of its services, serves."""
        return await self._calls.ask(self._health, service, timeout_s)


async def _batched(
    batch: Iterable[RerankRequest | RerankBatchRequest]
    | AsyncIterable[RerankRequest | RerankBatchRequest],
) -> AsyncIterator[RerankBatchRequest]:
    place = 0
    async for each in in_turn(batch):
        yield requests.batched(place, each)
        place += 1


async def _gathered(
    documents: Iterable[DocumentLike | ImportDocumentsRequest]
    | AsyncIterable[DocumentLike | ImportDocumentsRequest],
    collection: str,
) -> AsyncIterator[ImportDocumentsRequest]:
    batches = requests.ImportBatches(collection)
    async for document in in_turn(documents):
        for request in batches.add(document):
            yield request
    for request in batches.rest():
        yield request
