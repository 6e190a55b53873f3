"""Requests, from what is convenient to write.

Wherever a call takes a query, a name or ids, it takes the whole request message instead,
and then nothing beside it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypedDict, TypeVar

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from rerank_client.types import (
    CacheOptions,
    CheckBackendRequest,
    CollectionField,
    CreateCollectionRequest,
    DeleteCollectionRequest,
    DeleteDocumentsRequest,
    Document,
    FailurePolicy,
    FieldType,
    Filter,
    GetDocumentRequest,
    ImportDocumentsRequest,
    MmrOptions,
    RerankBatchRequest,
    RerankOptions,
    RerankRequest,
    RetrievalOptions,
    SearchProgressiveRequest,
    SearchRequest,
)

M = TypeVar("M", bound=Message)

DocumentLike = str | Mapping[str, Any] | Document
"""A text; a mapping as in protobuf's JSON, for example `{"id": "a", "text": "…", "metadata":
{"year": 2026}}`; or the message."""

NO_FIELDS: Mapping[str, FieldType.ValueType] = MappingProxyType({})
"""Of a collection: nothing to filter by."""

# A message has at most 1000 documents and 32 MiB. Smaller ones are acknowledged sooner.
_BATCH_DOCUMENTS = 100
_BATCH_BYTES = 4 * 1024 * 1024


class RerankFields(TypedDict, total=False):
    """What `rerank` takes beside query and documents; see `RerankRequest`."""

    route: str
    top_k: int
    top_n: int
    min_score: float
    search_method: str
    instruction: str
    query_embedding: Sequence[float]
    cache: CacheOptions
    failure_policy: FailurePolicy.ValueType
    labels: Mapping[str, str]
    max_per_group: int
    return_documents: bool
    return_embeddings: bool
    scoring_timeout_s: float
    """`RerankRequest.timeout`: when it is up, the answer is the order received."""


class SearchFields(TypedDict, total=False):
    """What `search` takes beside the query; see `SearchRequest`."""

    embedding: Sequence[float]
    collection: str
    limit: int
    offset: int
    filter: Filter
    retrieval: RetrievalOptions
    mmr: MmrOptions
    rerank: RerankOptions
    failure_policy: FailurePolicy.ValueType
    labels: Mapping[str, str]
    explain: bool
    min_version: int
    return_embeddings: bool
    max_response_bytes: int
    max_per_group: int
    search_timeout_s: float
    """`SearchRequest.timeout`: when it is up, the answer is the order before reranking."""


def rerank(
    query: str | RerankRequest,
    documents: Iterable[DocumentLike],
    fields: RerankFields,
) -> RerankRequest:
    """Write the request of `Rerank`."""
    if isinstance(query, RerankRequest):
        return _whole(query, documents, fields)
    return RerankRequest(
        query=query,
        documents=_documents(documents),
        **_fields(fields, timeout="scoring_timeout_s"),
    )


def search(query: str | SearchRequest, fields: SearchFields) -> SearchRequest:
    """Write the request of `Search`."""
    if isinstance(query, SearchRequest):
        return _whole(query, (), fields)
    return SearchRequest(query=query, **_fields(fields, timeout="search_timeout_s"))


def search_progressive(
    query: str | SearchRequest | SearchProgressiveRequest, fields: SearchFields
) -> SearchProgressiveRequest:
    """Write the request of `SearchProgressive`."""
    if isinstance(query, SearchProgressiveRequest):
        return _whole(query, (), fields)
    return SearchProgressiveRequest(search=search(query, fields))


def batched(
    place: int, request: RerankRequest | RerankBatchRequest
) -> RerankBatchRequest:
    """Write one request of `RerankBatch`; its id is its place, unless it has one."""
    if isinstance(request, RerankBatchRequest):
        return request
    return RerankBatchRequest(request_id=str(place), request=request)


class ImportBatches:
    """Documents, gathered into requests of `ImportDocuments`.

    A request's `batch_id` is the place of its first document, so that of a rejected one
    is `int(batch_id) + rejected.index`. Whole requests go out as they are.
    """

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self._place = 0
        self._bytes = 0
        self._gathered: list[Document] = []

    def add(
        self, document: DocumentLike | ImportDocumentsRequest
    ) -> Iterator[ImportDocumentsRequest]:
        """Take a document, and give what is ready to be sent: nothing, or a request or two."""
        if isinstance(document, ImportDocumentsRequest):
            yield from self.rest()
            self._place += len(document.documents)
            yield document
            return
        message = to_document(document)
        size = message.ByteSize()
        if self._bytes + size > _BATCH_BYTES:
            yield from self.rest()
        self._gathered.append(message)
        self._bytes += size
        if len(self._gathered) == _BATCH_DOCUMENTS:
            yield from self.rest()

    def gather(
        self, documents: Iterable[DocumentLike | ImportDocumentsRequest]
    ) -> Iterator[ImportDocumentsRequest]:
        """Give the requests for all of the documents."""
        _refuse_text(documents, "documents")
        for document in documents:
            yield from self.add(document)
        yield from self.rest()

    def rest(self) -> Iterator[ImportDocumentsRequest]:
        """Give what is gathered, as the last request if there is any."""
        if not self._gathered:
            return
        request = ImportDocumentsRequest(
            collection=self._collection,
            batch_id=str(self._place),
            documents=self._gathered,
        )
        self._place += len(self._gathered)
        self._bytes = 0
        self._gathered = []
        yield request


def delete_documents(
    ids: Iterable[str] | DeleteDocumentsRequest, collection: str
) -> DeleteDocumentsRequest:
    """Write the request of `DeleteDocuments`."""
    if isinstance(ids, DeleteDocumentsRequest):
        return _whole(ids, (), {"collection": collection})
    _refuse_text(ids, "ids")
    return DeleteDocumentsRequest(collection=collection, ids=ids)


def get_document(
    document_id: str | GetDocumentRequest, collection: str, *, return_embeddings: bool
) -> GetDocumentRequest:
    """Write the request of `GetDocument`."""
    if isinstance(document_id, GetDocumentRequest):
        fields = {"collection": collection, "return_embeddings": return_embeddings}
        return _whole(document_id, (), fields)
    return GetDocumentRequest(
        collection=collection, id=document_id, return_embeddings=return_embeddings
    )


def create_collection(
    name: str | CreateCollectionRequest,
    fields: Mapping[str, FieldType.ValueType],
    embedding_dimension: int,
) -> CreateCollectionRequest:
    """Write the request of `CreateCollection`."""
    if isinstance(name, CreateCollectionRequest):
        beside = {"fields": fields, "embedding_dimension": embedding_dimension}
        return _whole(name, (), beside)
    return CreateCollectionRequest(
        name=name,
        fields=[CollectionField(name=each, type=kind) for each, kind in fields.items()],
        embedding_dimension=embedding_dimension,
    )


def delete_collection(name: str | DeleteCollectionRequest) -> DeleteCollectionRequest:
    """Write the request of `DeleteCollection`."""
    return DeleteCollectionRequest(name=name) if isinstance(name, str) else name


def check_backend(name: str | CheckBackendRequest) -> CheckBackendRequest:
    """Write the request of `CheckBackend`."""
    return CheckBackendRequest(name=name) if isinstance(name, str) else name


def to_document(document: DocumentLike) -> Document:
    """Write a document.

    Raises:
        json_format.ParseError: A mapping has a key or a value that no document has.

    """
    match document:
        case Document():
            return document
        case str():
            return Document(text=document)
        case _:
            return json_format.ParseDict(dict(document), Document())


def _documents(documents: Iterable[DocumentLike]) -> Iterator[Document]:
    _refuse_text(documents, "documents")
    return map(to_document, documents)


def _refuse_text(several: object, name: str) -> None:
    """Keep a text from being taken for the list of its letters."""
    if isinstance(several, str):
        message = f"{name} are several, and this is one text"
        raise TypeError(message)


def _whole(request: M, documents: object, fields: Mapping[str, object]) -> M:
    """Take a request message as it is, and refuse what is said beside it."""
    beside = sorted(name for name, value in fields.items() if value)
    if documents != ():
        beside.insert(0, "documents")
    if beside:
        kind = type(request).__name__
        message = f"{', '.join(beside)} beside a whole {kind}: say it in the message"
        raise TypeError(message)
    return request


def _fields(fields: Mapping[str, Any], *, timeout: str) -> dict[str, Any]:
    """Write keywords as fields: unset where absent or None, and durations as such."""
    written = {name: value for name, value in fields.items() if value is not None}
    if timeout in written:
        duration = Duration()
        duration.FromTimedelta(timedelta(seconds=written.pop(timeout)))
        written["timeout"] = duration
    return written
