"""The client for programs with threads."""

from collections.abc import Generator, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self, Unpack

from rerank_client import health, requests
from rerank_client._gen.rerank.v1.backend_service_pb2_grpc import BackendServiceStub
from rerank_client._gen.rerank.v1.document_service_pb2_grpc import DocumentServiceStub
from rerank_client._gen.rerank.v1.rerank_service_pb2_grpc import RerankServiceStub
from rerank_client._gen.rerank.v1.search_service_pb2_grpc import SearchServiceStub
from rerank_client.calls import Calls
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


class RerankClient:
    """A gateway, as a thread calls it. Several threads can share one.

    Every call has a deadline (`timeout_s`) and raises a `RerankError` when it fails. A
    stream ends, and its call with it, when its iterator is closed or let go of.

    Args:
        address: The gateway, for example `localhost:50051` or `dns:///gateway:50051`.
        options: See `ConnectionOptions`.

    """

    def __init__(self, address: str, **options: Unpack[ConnectionOptions]) -> None:
        self._calls = Calls(Connection(address, **options))
        channel = self._calls.channel
        self._reranking = RerankServiceStub(channel)
        self._searching = SearchServiceStub(channel)
        self._storing = DocumentServiceStub(channel)
        self._backends = BackendServiceStub(channel)
        self._health = channel.unary_unary(
            health.CHECK, health.write_request, health.read_response
        )

    def __enter__(self) -> Self:
        """Use it until the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Cancel what is open and leave the gateway."""
        self._calls.close()

    def rerank(
        self,
        query: str | RerankRequest,
        documents: Iterable[DocumentLike] = (),
        *,
        timeout_s: float | None = None,
        **fields: Unpack[RerankFields],
    ) -> RerankResponse:
        """Order documents by how well they answer a query."""
        request = requests.rerank(query, documents, fields)
        return self._calls.ask(self._reranking.Rerank, request, timeout_s)

    def rerank_batch(
        self,
        batch: Iterable[RerankRequest | RerankBatchRequest],
        *,
        timeout_s: float | None = None,
    ) -> Generator[RerankBatchResponse]:
        """Order the documents of many requests; answers come as they are done.

        The `request_id` of a plain `RerankRequest` is its place, from 0. See `answer_of`
        for the errors of single requests. The batch is read in another thread, as fast
        as the gateway takes it.
        """
        return self._calls.exchange(
            self._reranking.RerankBatch,
            (requests.batched(place, each) for place, each in enumerate(batch)),
            timeout_s,
        )

    def search(
        self,
        query: str | SearchRequest,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[SearchFields],
    ) -> SearchResponse:
        """Find documents in a collection and order them."""
        request = requests.search(query, fields)
        return self._calls.ask(self._searching.Search, request, timeout_s)

    def search_progressive(
        self,
        query: str | SearchRequest | SearchProgressiveRequest,
        *,
        timeout_s: float | None = None,
        **fields: Unpack[SearchFields],
    ) -> Generator[SearchProgressiveResponse]:
        """Search, and answer twice: at once, and with the order after reranking."""
        request = requests.search_progressive(query, fields)
        return self._calls.follow(self._searching.SearchProgressive, request, timeout_s)

    def import_documents(
        self,
        documents: Iterable[DocumentLike | ImportDocumentsRequest],
        *,
        collection: str = "",
        timeout_s: float | None = None,
    ) -> Generator[ImportDocumentsResponse]:
        """Store documents, and yield what became of each batch of them.

        A batch's id is the place of its first document. Read to the end: what was not
        answered may not be stored. The documents are read in another thread.
        """
        batches = requests.ImportBatches(collection).gather(documents)
        return self._calls.exchange(self._storing.ImportDocuments, batches, timeout_s)

    def get_document(
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
        return self._calls.ask(self._storing.GetDocument, request, timeout_s)

    def list_documents(
        self, request: ListDocumentsRequest, *, timeout_s: float | None = None
    ) -> ListDocumentsResponse:
        """Bring one page of the documents of a collection."""
        return self._calls.ask(self._storing.ListDocuments, request, timeout_s)

    def documents(
        self,
        *,
        collection: str = "",
        return_embeddings: bool = False,
        timeout_s: float | None = None,
    ) -> Iterator[Document]:
        """Yield all documents of a collection, page by page, each within `timeout_s`."""
        request = ListDocumentsRequest(
            collection=collection, return_embeddings=return_embeddings
        )
        while True:
            page = self.list_documents(request, timeout_s=timeout_s)
            yield from page.documents
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete_documents(
        self,
        ids: Iterable[str] | DeleteDocumentsRequest,
        *,
        collection: str = "",
        timeout_s: float | None = None,
    ) -> DeleteDocumentsResponse:
        """Remove stored documents."""
        request = requests.delete_documents(ids, collection)
        return self._calls.ask(
            self._storing.DeleteDocuments,
            request,
            timeout_s,
            default_s=CHANGE_TIMEOUT_S,
        )

    def create_collection(
        self,
        name: str | CreateCollectionRequest,
        *,
        fields: Mapping[str, FieldType.ValueType] = requests.NO_FIELDS,
        embedding_dimension: int = 0,
        timeout_s: float | None = None,
    ) -> CreateCollectionResponse:
        """Create an empty collection, with the fields that can be filtered by."""
        request = requests.create_collection(name, fields, embedding_dimension)
        return self._calls.ask(
            self._storing.CreateCollection,
            request,
            timeout_s,
            default_s=CHANGE_TIMEOUT_S,
        )

    def delete_collection(
        self, name: str | DeleteCollectionRequest, *, timeout_s: float | None = None
    ) -> DeleteCollectionResponse:
        """Remove a collection and all of its documents."""
        request = requests.delete_collection(name)
        return self._calls.ask(
            self._storing.DeleteCollection,
            request,
            timeout_s,
            default_s=CHANGE_TIMEOUT_S,
        )

    def list_collections(
        self, request: ListCollectionsRequest, *, timeout_s: float | None = None
    ) -> ListCollectionsResponse:
        """Bring one page of the collections."""
        return self._calls.ask(self._storing.ListCollections, request, timeout_s)

    def collections(self, *, timeout_s: float | None = None) -> Iterator[Collection]:
        """Yield all collections by name, page by page, each within `timeout_s`."""
        request = ListCollectionsRequest()
        while True:
            page = self.list_collections(request, timeout_s=timeout_s)
            yield from page.collections
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def list_backends(
        self, request: ListBackendsRequest, *, timeout_s: float | None = None
    ) -> ListBackendsResponse:
        """Bring one page of what the gateway uses."""
        return self._calls.ask(self._backends.ListBackends, request, timeout_s)

    def backends(self, *, timeout_s: float | None = None) -> Iterator[Backend]:
        """Yield all that the gateway uses, page by page, each within `timeout_s`."""
        request = ListBackendsRequest()
        while True:
            page = self.list_backends(request, timeout_s=timeout_s)
            yield from page.backends
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def check_backend(
        self, name: str | CheckBackendRequest, *, timeout_s: float | None = None
    ) -> CheckBackendResponse:
        """Ask a backend now whether it works."""
        request = requests.check_backend(name)
        return self._calls.ask(self._backends.CheckBackend, request, timeout_s)

    def check_health(
        self, service: str = "", *, timeout_s: float | None = None
    ) -> ServingStatus:
        """Ask whether the gateway, or one of its services, serves."""
        return self._calls.ask(self._health, service, timeout_s)
