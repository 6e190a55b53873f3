"""A server over a real socket that does what a test says, and tells what it saw."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
from typing_extensions import override

from rerank_client._gen.rerank.v1.document_service_pb2_grpc import (
    DocumentServiceServicer,
    add_DocumentServiceServicer_to_server,
)
from rerank_client._gen.rerank.v1.rerank_service_pb2_grpc import (
    RerankServiceServicer,
    add_RerankServiceServicer_to_server,
)
from rerank_client._gen.rerank.v1.search_service_pb2_grpc import (
    SearchServiceServicer,
    add_SearchServiceServicer_to_server,
)
from rerank_client.types import (
    CreateCollectionRequest,
    CreateCollectionResponse,
    DeleteCollectionRequest,
    DeleteCollectionResponse,
    DeleteDocumentsRequest,
    DeleteDocumentsResponse,
    Document,
    GetDocumentRequest,
    GetDocumentResponse,
    ImportDocumentsRequest,
    ImportDocumentsResponse,
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

PATIENCE_S = 30.0
"""A loaded machine may need long; a test never waits this long."""

Context = grpc.ServicerContext
Behaviour = Callable[[Context], None]


@dataclass(slots=True)
class Call:
    """One call, as the server saw it."""

    method: str
    metadata: Mapping[str, str | bytes]
    remaining_s: float
    over: threading.Event = field(default_factory=threading.Event)


class Played(RerankServiceServicer, SearchServiceServicer, DocumentServiceServicer):
    """What the served methods do: answer, after what `behaviours` do to the first calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.behaviours: list[Behaviour] = []
        self.batches: list[ImportDocumentsRequest] = []
        self.listings: list[ListDocumentsRequest] = []
        self.reached = threading.Event()

    @override
    def Rerank(self, request: RerankRequest, context: Context) -> RerankResponse:
        self._begin("Rerank", context)
        return RerankResponse(search_method="rerank", message=request.query)

    @override
    def RerankBatch(
        self, request_iterator: Iterator[RerankBatchRequest], context: Context
    ) -> Iterator[RerankBatchResponse]:
        self._begin("RerankBatch", context)
        for request in request_iterator:
            yield RerankBatchResponse(
                request_id=request.request_id,
                response=RerankResponse(message=request.request.query),
            )

    @override
    def SearchProgressive(
        self, request: SearchProgressiveRequest, context: Context
    ) -> Iterator[SearchProgressiveResponse]:
        call = self._begin("SearchProgressive", context)
        yield SearchProgressiveResponse()
        if request.search.query == "hang":
            call.over.wait()
        yield SearchProgressiveResponse(final=True)

    @override
    def ImportDocuments(
        self, request_iterator: Iterator[ImportDocumentsRequest], context: Context
    ) -> Iterator[ImportDocumentsResponse]:
        self._begin("ImportDocuments", context)
        for batch in request_iterator:
            self.batches.append(batch)
            yield ImportDocumentsResponse(
                batch_id=batch.batch_id, accepted_count=len(batch.documents)
            )

    @override
    def DeleteDocuments(
        self, request: DeleteDocumentsRequest, context: Context
    ) -> DeleteDocumentsResponse:
        self._begin("DeleteDocuments", context)
        return DeleteDocumentsResponse(deleted_count=len(request.ids))

    @override
    def Search(self, request: SearchRequest, context: Context) -> SearchResponse:
        raise NotImplementedError

    @override
    def GetDocument(
        self, request: GetDocumentRequest, context: Context
    ) -> GetDocumentResponse:
        raise NotImplementedError

    @override
    def ListDocuments(
        self, request: ListDocumentsRequest, context: Context
    ) -> ListDocumentsResponse:
        """Answer three pages, of which the second is empty."""
        self._begin("ListDocuments", context)
        self.listings.append(request)
        ids, following = {
            "": (["a", "b"], "2"),
            "2": ([], "3"),
            "3": (["c"], ""),
        }[request.page_token]
        return ListDocumentsResponse(
            documents=[Document(id=each) for each in ids], next_page_token=following
        )

    @override
    def CreateCollection(
        self, request: CreateCollectionRequest, context: Context
    ) -> CreateCollectionResponse:
        self._begin("CreateCollection", context)
        return CreateCollectionResponse()

    @override
    def DeleteCollection(
        self, request: DeleteCollectionRequest, context: Context
    ) -> DeleteCollectionResponse:
        raise NotImplementedError

    @override
    def ListCollections(
        self, request: ListCollectionsRequest, context: Context
    ) -> ListCollectionsResponse:
        raise NotImplementedError

    def _begin(self, method: str, context: Context) -> Call:
        call = Call(
            method=method,
            metadata=dict(context.invocation_metadata()),
            remaining_s=context.time_remaining(),
        )
        if not context.add_callback(call.over.set):
            call.over.set()
        self.calls.append(call)
        self.reached.set()
        if self.behaviours:
            self.behaviours.pop(0)(context)
        return call


def unavailable(context: Context) -> None:
    context.abort(grpc.StatusCode.UNAVAILABLE, "a moment, please")


def invalid(context: Context) -> None:
    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")


def hang(context: Context) -> None:
    """Answer nothing until the call is over."""
    over = threading.Event()
    if context.add_callback(over.set):
        over.wait()


@contextmanager
def serving(played: Played, address: str = "127.0.0.1:0") -> Iterator[str]:
    """Serve until the block ends; gives the address."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        # As much as the gateway takes, and more.
        unbounded = [("grpc.max_receive_message_length", -1)]
        server = grpc.server(pool, options=unbounded)
        add_RerankServiceServicer_to_server(played, server)
        add_SearchServiceServicer_to_server(played, server)
        add_DocumentServiceServicer_to_server(played, server)
        port = server.add_insecure_port(address)
        server.start()
        try:
            yield address if address.startswith("unix:") else f"127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()


@contextmanager
def an_address() -> Iterator[str]:
    """Give an address where nobody listens yet."""
    with TemporaryDirectory(prefix="rerank-client-") as folder:
        yield f"unix:{Path(folder, 'gateway.sock')}"
